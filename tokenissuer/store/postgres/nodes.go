package postgres

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jackc/pgx/v5"
)

// Who follows the others holds an advisory lock with all of them, in the session that
// looks at what they did: without one nobody serves for long, and it is gone when the
// process is. Its halves are this and the schema's oid.
const serving = 0x67617465 // "gate"

const schemaOID = `(SELECT oid FROM pg_namespace WHERE nspname = current_schema())`

// serve takes part in the lock, with a connection that was just made. Where a database
// knows no such thing, there is nobody to be seen, and nothing else is lost.
func serve(ctx context.Context, conn *pgx.Conn) error {
	_, _ = conn.Exec(ctx, `SELECT pg_try_advisory_lock_shared(($1::BIGINT << 32) | `+schemaOID+`::BIGINT)`, int64(serving))
	return nil
}

// Serving is where the processes are that serve from the database now, each by its
// host as the server sees it: "" where it is a socket, or not ours to know. A server that
// is not there yet is waited for.
func (a *Address) Serving(ctx context.Context) (hosts []string, err error) {
	db := a.way.Load().open(nil)
	if err = answers(ctx, db); err == nil {
		hosts, err = served(ctx, db)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, a.wrap(err)
	}
	return hosts, nil
}

func served(ctx context.Context, db *sql.DB) (hosts []string, err error) {
	rows, err := db.QueryContext(ctx, `
SELECT COALESCE(host(a.client_addr), '') FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND l.classid = $1::BIGINT::OID AND l.objid = `+schemaOID+` AND l.objsubid = 1 AND l.granted ORDER BY 1`, int64(serving))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var host string
		if err := rows.Scan(&host); err != nil {
			return nil, err
		}
		hosts = append(hosts, host)
	}
	return hosts, rows.Err()
}
