package store

import "context"

// Schema is the version of the tables.
func (s *Store) Schema(ctx context.Context) (version int64, err error) {
	err = s.read.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM schema_versions`).Scan(&version)
	if err != nil {
		return 0, failure("schema", err)
	}
	return version, nil
}
