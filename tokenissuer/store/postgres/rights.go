package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
)

// made finds the tables that a migration makes.
var made = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// tables are those that the migrations make. Whoever knows more has put more into the
// schema, and may do with it as he likes.
func (s schema) tables() []string {
	names := []string{versions}
	files, err := fs.Glob(s.files, "*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, file := range files {
		text, err := fs.ReadFile(s.files, file)
		if err != nil {
			panic(err) // it was just listed, and is part of the program
		}
		for _, found := range made.FindAllStringSubmatch(string(text), -1) {
			names = append(names, found[1])
		}
	}
	return names
}

// mayUpgrade refuses a role that cannot change the schema: what PostgreSQL says of its
// first statement does not say what to do.
func (s schema) mayUpgrade(ctx context.Context, db *sql.DB, version int64) error {
	var owner string
	err := db.QueryRowContext(ctx, `
SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = `+schemaOID+` AND relkind IN ('r', 'p')
AND relname = ANY($1) AND NOT pg_has_role(relowner, 'USAGE') ORDER BY relname LIMIT 1`, s.tables()).Scan(&owner)
	switch {
	case err == nil:
		return fmt.Errorf("has schema %d, and this program needs %d: only the role %s, which made its tables, may change them; start one node as %s first", version, s.target(), owner, owner)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	var where, role string
	var may bool
	err = db.QueryRowContext(ctx, `SELECT quote_ident(current_schema()), quote_ident(CAST(current_user AS TEXT)),
		has_schema_privilege(current_schema(), 'CREATE')`).Scan(&where, &role, &may)
	if err == nil && !may {
		err = fmt.Errorf("has the schema %s, in which the role %s may make no tables: GRANT CREATE ON SCHEMA %s TO %s, or make the database with: createdb --owner %s", where, role, where, role, role)
	}
	return err
}

// rights wants all that requests need, and what makes keys and sweeps later: a month
// after its start is too late to learn of one that is missing. The rows that processes
// meet at are held, which is to update them.
func (s schema) rights(ctx context.Context, db *sql.DB) error {
	var table, right, where, role string
	var missing int
	err := db.QueryRowContext(ctx, `
SELECT CAST(c.relname AS TEXT), r.name, quote_ident(current_schema()), quote_ident(CAST(current_user AS TEXT)), COUNT(*) OVER ()
FROM pg_class c CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS r (name)
WHERE c.relnamespace = `+schemaOID+` AND c.relkind IN ('r', 'p') AND c.relname = ANY($1)
AND (c.relname NOT IN ('`+versions+`', 'schema_floor') OR r.name IN ('SELECT', 'UPDATE'))
AND NOT has_table_privilege(c.oid, r.name) ORDER BY c.relname, r.name LIMIT 1`, s.tables()).Scan(&table, &right, &where, &role, &missing)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("rights cannot be read: %w", err)
	}
	more := ""
	if missing > 1 {
		more = fmt.Sprintf(" (one of %d rights that are missing)", missing)
	}
	return fmt.Errorf("has the table %s, on which the role %s may not %s%s: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %s TO %s", table, role, right, more, where, role)
}
