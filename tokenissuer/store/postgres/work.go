package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// work is the advisory lock of the very session that changes the schema. One that waits for
// others outlives its process, and the idle session that has the turn: whoever has that next
// waits for it, and does not touch what it makes. Programs that know less know the turn alone.
const work = turn + 1

// errGoesOn is of an upgrade whose process, or whose turn, has ended.
var errGoesOn = errors.New("its lock is taken")

// worker is a session that changes the schema.
type worker struct {
	*Address
	db  *sql.DB      // has no other session, and each has the lock from its beginning
	pid atomic.Int64 // of the session that has the lock; 0 for none
}

func (a *Address) worker() *worker {
	w := &worker{Address: a}
	// A migration takes as long as it takes. What it waits for others does not, but for an
	// index: behind a statement that waits for a table everybody else waits too.
	config := a.way.Load().connection(map[string]string{"application_name": application + " upgrade", "statement_timeout": "0"})
	w.db = stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		err := w.begin(ctx, conn)
		if err != nil { // nobody else closes it
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingMost)
			defer cancel()
			_ = conn.Close(ctx)
		}
		return err
	}))
	size(w.db, 1)
	return w
}

// begin takes the lock.
func (w *worker) begin(ctx context.Context, conn *pgx.Conn) error {
	w.pid.Store(0)
	others := false
	err := take(ctx, func() (ours bool, err error) {
		var pid int64
		err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1), pg_backend_pid()`, int64(work)).Scan(&ours, &pid)
		if ours {
			w.pid.Store(pid)
		}
		others = others || err == nil && !ours
		return ours, err
	})
	if others && err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", errGoesOn, err)
	}
	return err
}

// indexMost is how long an index waits for one transaction where nothing says how much time
// there is; otherwise for two thirds of that. Whoever comes while it waits does so, too.
const indexMost = 10 * time.Minute

// patient has the session wait for a table as the address says, or for longer: an index that
// is made beside others waits for whoever began to read before it, anything of this
// database, and nobody waits behind it.
func (w *worker) patient(ctx context.Context, beside bool) error {
	if err := w.db.PingContext(ctx); err != nil { // before the time is measured: it may wait
		return err
	}
	most := w.way.Load().config.RuntimeParams["lock_timeout"]
	if beside {
		wait := indexMost
		if end, ok := ctx.Deadline(); ok {
			wait = time.Until(end) * 2 / 3
		}
		most = milliseconds(max(wait, time.Millisecond))
	}
	_, err := w.db.ExecContext(ctx, `SELECT set_config('lock_timeout', $1, false)`, most)
	return err
}

// askWhom is how often is asked whom an upgrade waits for: it stops all locks for a moment.
const askWhom = time.Second

// whom are those that an upgrade waits for: another session that has the lock, and who is in
// the way of whichever has it. What they do is not ours to know.
const whom = `
WITH working AS (
	SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
	AND classid = ($2::BIGINT >> 32)::OID AND objid = ($2::BIGINT & 4294967295)::OID
), waited AS (SELECT pid FROM working WHERE pid <> $1 UNION SELECT unnest(pg_blocking_pids(pid)) FROM working)
SELECT COALESCE(string_agg(CASE pid WHEN 0 THEN 'a prepared transaction'
	ELSE 'pid ' || pid || COALESCE(' (' || NULLIF(application_name, '') || ')', '') END, ', ' ORDER BY application_name, pid), '')
FROM waited LEFT JOIN pg_stat_activity USING (pid)`

// wait is whom an upgrade has waited for last.
type wait struct {
	who  string
	over bool
}

// watch tells of them until ctx ends.
func (w *worker) watch(ctx context.Context) (last wait) {
	db := w.way.Load().open(nil)
	defer func() { _ = db.Close() }()
	tick := time.NewTicker(askWhom)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return last
		case <-tick.C:
		}
		var who string
		if err := db.QueryRowContext(ctx, whom, w.pid.Load(), int64(work)).Scan(&who); err != nil {
			continue // it waits all the same
		}
		if who == "" {
			last.over = true
			continue
		}
		if tell := w.waits.Load(); tell != nil && (last.over || who != last.who) {
			(*tell)(who)
		}
		last = wait{who, false}
	}
}

// Waits has f told of whom an upgrade waits for that Open makes.
func (a *Address) Waits(f func(who string)) { a.waits.Store(&f) }

// explains says what an upgrade has waited for that gave up. One that waited for a lock says
// so even where nobody was seen: whoever it was may have ended in that moment.
func (l wait) explains(err error, beside bool) error {
	refused := locked(err)
	var what string
	switch {
	case errors.Is(err, errGoesOn):
		what = "an upgrade waits for one that was begun before and goes on"
	case err == nil, !refused && (!beside || l.who == "" || l.over):
		return err
	case beside:
		what = "an index waits for who reads something of this database for long, such as pg_dump or an export"
	default:
		what = "somebody has its tables for long, such as pg_dump or an export"
	}
	if l.who != "" {
		what += ", here for " + l.who
	}
	return fmt.Errorf("%s: start again when that is over: %w", what, err)
}

func locked(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "55P03" // lock_not_available
}
