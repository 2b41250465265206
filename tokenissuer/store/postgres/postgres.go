// Package postgres opens the store in a PostgreSQL database, which any number of
// processes share.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Open opens the store in a database: makes the tables if there are none, and
// brings an older schema up to date, while other processes may be doing the same
// or are serving. A schema that this program cannot work with is store.ErrNewer.
// A server that is not there yet is waited for. Every error names the database.
func Open(ctx context.Context, a *Address) (*store.Store, error) {
	st, err := open(ctx, a, current())
	if err != nil {
		return nil, a.wrap(err)
	}
	return st, nil
}

var errNoStore = errors.New("there is no store: name the configuration that the server runs with, and with its environment")

// Found says whether there is a store in a database, which Open would make.
func Found(ctx context.Context, a *Address) error {
	db := a.way.Load().open(nil)
	err := answers(ctx, db)
	if err == nil {
		var version int64
		if version, err = current().version(ctx, db); err == nil && version == 0 {
			err = errNoStore
		}
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return a.wrap(err)
	}
	return nil
}

func open(ctx context.Context, a *Address, s schema) (*store.Store, error) {
	db := a.open("")
	err := answers(ctx, db)
	if err == nil {
		err = a.way.Load().keepsSession(ctx, db)
	}
	if err == nil {
		err = suits(ctx, db)
	}
	if err == nil {
		err = s.prepare(ctx, a, db)
	}
	if err == nil {
		err = s.rights(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	a.pool.Store(db)
	pools := store.Pools{Requests: db, Following: a.open(" following", stdlib.OptionAfterConnect(serve)), Copying: a.open(copying)}
	size(pools.Following, followingMost)
	size(pools.Copying, copyingMost)
	pools.Copying.SetMaxIdleConns(0)
	return store.NewMany(pools, judge, a.listen), nil
}

const (
	// A connection is made anew from time to time, so that after a failover, or when
	// a server was added, none stays for ever where it was.
	connectionLife = 30 * time.Minute
	connectionIdle = 5 * time.Minute
)

// followingMost is how many connections a process follows the others by, besides the
// one that listens: one is asked after the other, and a thousand nodes have them all.
const followingMost = 1

// copying is what the connection of copies is for.
const copying = " copying"

// copyingMost is how many copies of everything are made at once. Who reads one may be
// slow, and must not have what requests wait for.
const copyingMost = 1

// open makes a pool of a store, whose connections call themselves ours and what for.
// Each is made in the way of its time.
func (a *Address) open(what string, further ...stdlib.OptionOpenDB) *sql.DB {
	w := a.way.Load()
	options := []stdlib.OptionOpenDB{stdlib.OptionBeforeConnect(func(_ context.Context, config *pgx.ConnConfig) error {
		parameters := map[string]string{}
		if what != "" {
			parameters["application_name"] = application + what
		}
		if what == copying {
			parameters["tcp_user_timeout"] = "0" // whoever reads a copy may pause, at a passphrase for one
		}
		*config = *a.way.Load().connection(parameters)
		return nil
	}), stdlib.OptionShouldPing(doubtful)}
	db := stdlib.OpenDB(*w.config, append(options, further...)...)
	size(db, w.connections)
	return db
}

const (
	// A connection that was not used for so long may be dead without our knowing.
	quietMost = time.Second

	// pingMost is how long one may take to say that it is not.
	pingMost = time.Second
)

// doubtful asks a connection whether it lives, briefly: behind a cut line each of
// the pool would otherwise cost a request all the time it has. One that does not
// answer is closed with that, and is found so.
func doubtful(ctx context.Context, c stdlib.ShouldPingParams) bool {
	if c.IdleDuration < quietMost {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, pingMost)
	defer cancel()
	return c.Conn.Ping(ctx) != nil
}

// open makes a pool of one connection that goes this way, with parameters of its own.
func (w *way) open(parameters map[string]string) *sql.DB {
	db := stdlib.OpenDB(*w.connection(parameters))
	size(db, 1)
	return db
}

func size(db *sql.DB, most int) {
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	db.SetConnMaxLifetime(connectionLife)
	db.SetConnMaxIdleTime(connectionIdle)
}

const (
	// startMost is how long a server may take that is started with this program.
	startMost = 10 * time.Second
	askAgain  = 200 * time.Millisecond
)

// errAway is of a server that does not answer, and may later.
var errAway = errors.New("does not answer")

// answers waits for a server that is starting or changing places. One that refuses
// us has answered.
func answers(ctx context.Context, db *sql.DB) error {
	late, cancel := context.WithTimeout(ctx, startMost)
	defer cancel()
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	var why error // the last that was not our own impatience, if there was another
	for {
		err := db.PingContext(late)
		if err == nil {
			return nil
		}
		impatient := pgconn.Timeout(err) || errors.Is(err, context.DeadlineExceeded)
		if !impatient && judge(err) != store.Lost {
			return err
		}
		if why == nil || !impatient {
			why = err
		}
		select {
		case <-tick.C:
		case <-late.Done():
			if errors.Is(why, pgconn.ErrStandbyConnection) {
				return fmt.Errorf("%w as a primary: it is a standby; name all servers, such as db1.example.com,db2.example.com: %w", errAway, why)
			}
			return fmt.Errorf("%w: %w", errAway, why)
		}
	}
}

// oldest is the first version with all that the statements use.
const oldest = 13

// suits looks at what no statement would find out before it is too late.
func suits(ctx context.Context, db *sql.DB) error {
	var version, encoding, readOnly string
	err := db.QueryRowContext(ctx, `SELECT current_setting('server_version_num'), current_setting('server_encoding'),
		current_setting('transaction_read_only')`).Scan(&version, &encoding, &readOnly)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(version)
	switch {
	case err != nil || n < oldest*10000:
		return fmt.Errorf("is PostgreSQL %d, expected %d or newer", n/10000, oldest)
	case encoding != "UTF8":
		return fmt.Errorf("has the encoding %s, expected UTF8; make it with: createdb --encoding UTF8 --template template0", encoding)
	case readOnly == "on":
		return errors.New("cannot be written: the server or its user is set to read only")
	}
	return nil
}
