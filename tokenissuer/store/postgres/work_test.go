package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// having is a question for the session that has a lock of ours.
func having(lock int64, what string) string {
	return fmt.Sprintf(`SELECT COALESCE(string_agg(%s, ','), '') FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %d AND objid = %d
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, what, lock>>32, lock&0xffffffff)
}

// beside starts one beside an upgrade that goes on without the turn, and returns how it ends and
// whom it says it waits for.
func (r *reader) beside() (ended chan error, told chan string) {
	ended, told = make(chan error, 1), make(chan string, 10)
	a := parsed(r.T, r.text)
	a.Waits(func(who string) { told <- who })
	go func() {
		st, err := open(r.Context(), a, current())
		if err == nil {
			err = st.Close()
		}
		ended <- err
	}()
	return ended, told
}

// waitsFor wants it not to touch what another session makes, and to come through when that
// is over.
func (r *reader) waitsFor(ended chan error, told chan string, maker string) {
	r.Helper()
	select {
	case err := <-ended:
		r.Fatalf("the next start has not waited: %v", err)
	case <-time.After(time.Minute):
		r.Fatal("the next start says nothing of whom it waits for")
	case got := <-told:
		if want := fmt.Sprintf("pid %s (gatehouse upgrade), pid %d (report)", maker, r.pid); got != want {
			r.Errorf("the next start waits for %s, want %s", got, want)
		}
	}
	if n := postgrestest.Ask(r.T, r.text, `SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%DROP INDEX%' AND pid <> pg_backend_pid() AND datname = current_database()`); n != "0" {
		r.Error("the next start takes away what is being made")
	}
	r.ends()
	if err := <-ended; err != nil {
		r.Errorf("the next start: %v", err)
	}
	if got := postgrestest.Ask(r.T, r.text, unfinished); got != "0" {
		r.Errorf("%s indexes are unfinished", got)
	}
}

// TestUpgradeWithoutItsTurnIsWaitedFor: a server ends idle sessions, and the one that has the
// turn is one. The process lives, and serves in the end.
func TestUpgradeWithoutItsTurnIsWaitedFor(t *testing.T) {
	t.Parallel()
	report := reading(t, lacking(t))
	first, _ := report.beside()
	report.until("the upgrade waits for the report", waiting, "1")
	maker := postgrestest.Ask(t, report.text, having(work, "pid::TEXT"))
	if got := postgrestest.Ask(t, report.text, having(turn, "pg_terminate_backend(pid)::TEXT")); got != "true" {
		t.Fatalf("the session that has the turn is ended: %q", got)
	}
	ended, told := report.beside()
	report.waitsFor(ended, told, maker)
	if err := <-first; err != nil {
		t.Errorf("the first start: %v", err)
	}
}

// TestUpgradeWithoutItsProcessIsWaitedFor: a server does not see that somebody has gone for
// whom it waits for a lock.
func TestUpgradeWithoutItsProcessIsWaitedFor(t *testing.T) {
	t.Parallel()
	report := reading(t, lacking(t))
	config, err := pgx.ParseConfig(report.text)
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = application + " upgrade"
	killed, err := pgconn.ConnectConfig(t.Context(), &config.Config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := killed.Exec(t.Context(), fmt.Sprintf(`SELECT pg_advisory_lock(%d)`, int64(work))).ReadAll(); err != nil {
		t.Fatal(err)
	}
	maker := killed.PID()
	killed.Frontend().SendQuery(&pgproto3.Query{String: `CREATE INDEX CONCURRENTLY deliveries_due ON deliveries (client, next, n)`})
	if err := killed.Frontend().Flush(); err != nil {
		t.Fatal(err)
	}
	report.until("the index waits for the report", waiting, "1")
	if err := killed.Conn().Close(); err != nil {
		t.Fatal(err)
	}
	ended, told := report.beside()
	report.waitsFor(ended, told, fmt.Sprint(maker))
}

// TestUpgradeThatGaveUpSaysWhy, whatever was seen of whom it waited for.
func TestUpgradeThatGaveUpSaysWhy(t *testing.T) {
	t.Parallel()
	refused, other := error(&pgconn.PgError{Code: "55P03"}), errors.New("disk full")
	for what, c := range map[string]struct {
		err    error
		beside bool
		last   wait
		want   string
	}{
		"an index, and somebody":         {refused, true, wait{"pid 7", false}, "an index waits for who reads something of this database for long, such as pg_dump or an export, here for pid 7: start again when that is over: "},
		"who ended in that moment":       {refused, true, wait{"pid 7", true}, "an export, here for pid 7: start again"},
		"nobody was seen":                {refused, true, wait{}, "an export: start again when that is over: "},
		"a table":                        {refused, false, wait{}, "somebody has its tables for long, such as pg_dump or an export: start again when that is over: "},
		"no time left while it waits":    {context.DeadlineExceeded, true, wait{"pid 7", false}, "here for pid 7: start again"},
		"an upgrade of before":           {fmt.Errorf("%w: %w", errGoesOn, context.DeadlineExceeded), false, wait{"pid 8", false}, "an upgrade waits for one that was begun before and goes on, here for pid 8: start again"},
		"another failure":                {other, true, wait{}, "disk full"},
		"another failure after a wait":   {other, true, wait{"pid 7", true}, "disk full"},
		"another failure beside a table": {other, false, wait{"pid 7", false}, "disk full"},
	} {
		got := c.last.explains(c.err, c.beside)
		if !errors.Is(got, c.err) || !strings.Contains(got.Error(), c.want) || errors.Is(c.err, other) != (got.Error() == c.want) {
			t.Errorf("%s: %v, want %q", what, got, c.want)
		}
	}
	if err := (wait{"pid 7", false}).explains(nil, true); err != nil {
		t.Error(err)
	}
}
