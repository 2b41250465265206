package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// connection is how one is made, with further parameters.
func (w *way) connection(parameters map[string]string) *pgx.ConnConfig {
	config := w.config.Copy()
	maps.Copy(config.RuntimeParams, parameters)
	settle(config)
	return config
}

// atStart are the parameters that a connection has from its first message on: poolers
// know the one, and the other is made of words for the server's program.
var atStart = []string{"application_name", "options"}

// settle has the others be set when a connection is there. A pooler refuses those that
// it does not know, or is told to ignore them, and then nobody has set them.
func settle(config *pgx.ConnConfig) {
	var settings []string
	var values [][]byte
	for _, name := range slices.Sorted(maps.Keys(config.RuntimeParams)) {
		if slices.Contains(atStart, name) {
			continue
		}
		values = append(values, []byte(name), []byte(config.RuntimeParams[name]))
		settings = append(settings, fmt.Sprintf("set_config($%d, $%d, false)", len(values)-1, len(values)))
		delete(config.RuntimeParams, name)
	}
	if len(settings) == 0 {
		return
	}
	text := "SELECT " + strings.Join(settings, ", ")
	config.AfterConnect = func(ctx context.Context, c *pgconn.PgConn) error {
		return c.ExecParams(ctx, text, values, nil, nil, nil).Read().Err
	}
}

// errNoSession is of a pooler that has nothing of what is a session's: prepared
// statements, the timeouts, the channel on which nodes wake each other, the lock of the
// upgrade, which it would keep for ever.
var errNoSession = errors.New("is reached through a pooler that gives every transaction another connection: " +
	"set pool_mode = session for it there (PgBouncer), or name the port of PostgreSQL itself")

// errOneProcess is of a pooler whose clients together have no room for this node.
var errOneProcess = errors.New("is reached through a pooler that has no second connection for this node: " +
	"raise default_pool_size there (PgBouncer) to all that the nodes may have, pool_max_conns and two each, and one for an export")

// seesMost is how often two connections are compared. Other clients of the pooler may
// come in between.
const seesMost = 5

// keepsSession looks whether a connection stays with one process of the server. It asks
// by the simple protocol: nothing is prepared that could be gone.
func (w *way) keepsSession(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return conn.Raw(func(driver any) error {
		one := driver.(*stdlib.Conn).Conn().PgConn() // the pool is ours
		process, err := servedBy(ctx, one, "")
		if err != nil || process == one.PID() {
			return err // nobody is in between
		}
		soon, cancel := context.WithTimeout(ctx, startMost)
		defer cancel()
		other, err := pgconn.ConnectConfig(soon, &w.connection(nil).Config)
		if pgconn.Timeout(err) && ctx.Err() == nil {
			return fmt.Errorf("%w: %w", errOneProcess, err)
		}
		if err != nil {
			return err
		}
		defer func() { _ = other.Close(context.WithoutCancel(ctx)) }()
		return apart(soon, one, other, process)
	})
}

// apart wants two connections to have each its own process of the server. While one of
// them is in a transaction, the other still has its own, or never had one.
func apart(ctx context.Context, one, other *pgconn.PgConn, process uint32) error {
	for range seesMost {
		theirs, err := servedBy(ctx, other, "BEGIN;")
		if err != nil {
			return err
		}
		ours, err := servedBy(ctx, one, "")
		if err != nil {
			return err
		}
		if ours != process || theirs == process {
			return errNoSession
		}
		if _, err := servedBy(ctx, other, "COMMIT;"); err != nil {
			return err
		}
	}
	return nil
}

// servedBy is the process of the server behind a connection, after a command.
func servedBy(ctx context.Context, c *pgconn.PgConn, command string) (process uint32, err error) {
	results, err := c.Exec(ctx, command+"SELECT pg_backend_pid()").ReadAll()
	if err != nil {
		return 0, err
	}
	last := results[len(results)-1]
	if len(last.Rows) != 1 || len(last.Rows[0]) != 1 {
		return 0, errors.New("does not know pg_backend_pid")
	}
	n, err := strconv.ParseUint(string(last.Rows[0][0]), 10, 32)
	return uint32(n), err
}
