package feed_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// toldOf says how often the database was found to have gone back.
func (n *node) toldOf(what string) (times int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, told := range n.told {
		if strings.Contains(told, what) {
			times++
		}
	}
	return times
}

func (n *node) readKeys() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.keys
}

// TestDatabaseThatWentBackIsReadAnew: numbers are given out a second time, and stand
// for other changes.
func TestDatabaseThatWentBackIsReadAnew(t *testing.T) {
	t.Parallel()
	const restart = `ALTER TABLE changes ALTER COLUMN n RESTART WITH `
	for name, restore := range map[string]string{
		"to before what was read last":  `DELETE FROM changes WHERE n > 5; ` + restart + `6`,
		"to before anything":            `DELETE FROM changes; ` + restart + `1`,
		"and went on with other ones":   `UPDATE changes SET at = at + 1, revoked = '[]'`,
		"and went on behind those":      `DELETE FROM changes WHERE n > 5; ` + restart + `40`,
		"to what was revoked elsewhere": `DELETE FROM changes WHERE n > 5; ` + restart + `6; INSERT INTO revoked_tokens (id, expires) VALUES ('old', 99999999999999)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := postgrestest.URL(t)
			a, b := startNode(t, url), startNode(t, url)
			for i := range 10 {
				id := fmt.Sprintf("t%d", i)
				b.revoke(id)
				a.within(patience, id+" revoked", a.knows(id))
			}
			before := a.readKeys()
			postgrestest.Exec(t, url, "BEGIN; "+restore+"; COMMIT")
			b.revoke("late")
			a.within(patience, "late revoked", a.knows("late"))
			a.within(patience, "the keys are read", func() bool { return a.readKeys() > before })
			a.within(patience, "it is told", func() bool { return a.toldOf("the database is not what it was") == 1 })
			if strings.Contains(restore, "old") {
				a.within(patience, "old revoked", a.knows("old"))
			}
			if !a.knows("t9")() {
				t.Error("what the database forgot, the gate forgot, too")
			}
			b.revoke("later")
			a.within(patience, "later revoked", a.knows("later"))
			if n := a.toldOf("the database is not what it was"); n != 1 {
				t.Errorf("told %d times", n)
			}
		})
	}
}

// TestSweptChangesAreNoLoss: who has read all stands at the last, which stays until he
// has had the time to read the next.
func TestSweptChangesAreNoLoss(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	n := startNode(t, url)
	for i := range 5 {
		n.revoke(fmt.Sprintf("t%d", i))
	}
	aged := func(by time.Duration, which string) {
		t.Helper()
		postgrestest.Exec(t, url, fmt.Sprintf(`UPDATE changes SET at = at - %d WHERE n %s`, by.Milliseconds(), which))
	}
	sweep := func(want int) {
		t.Helper()
		if n, err := n.st.Sweep(t.Context(), time.Now(), 100); err != nil || n != want {
			t.Errorf("%d rows were swept, %v; want %d", n, err, want)
		}
	}
	aged(2*store.KeepChanges, "< 4")
	aged(store.KeepChanges+time.Minute, ">= 4") // the last of a transaction's
	sweep(3)
	cursor, err := n.st.Position(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n.revoke("late")
	sweep(0)
	if changes, _, _, err := n.st.Changes(t.Context(), cursor, time.Now()); err != nil || len(changes) != 1 {
		t.Errorf("the next look has %v, %v", changes, err)
	}
	aged(2*store.AwayMost+time.Minute, "= 6")
	sweep(2)
}

// shifted is a database whose clock can be set, and how.
func shifted(t *testing.T) (url string, set func(ahead time.Duration, beside string)) {
	t.Helper()
	plain := postgrestest.URL(t)
	postgrestest.Exec(t, plain, `CREATE SCHEMA test; CREATE TABLE test.shift (ahead INTERVAL); INSERT INTO test.shift VALUES ('0');
		CREATE FUNCTION public.clock_timestamp() RETURNS TIMESTAMPTZ LANGUAGE SQL AS 'SELECT pg_catalog.clock_timestamp() + ahead FROM test.shift'`)
	return postgrestest.With(plain, "search_path", "public,pg_catalog"), func(ahead time.Duration, beside string) {
		t.Helper()
		postgrestest.Exec(t, plain, fmt.Sprintf(`BEGIN; UPDATE test.shift SET ahead = '%d milliseconds'; %s; COMMIT`, ahead.Milliseconds(), beside))
	}
}

// TestMachineThatSleptReadsAllAnew: between two looks hours have gone, as the database
// counts, and what happened in them has come and gone.
func TestMachineThatSleptReadsAllAnew(t *testing.T) {
	t.Parallel()
	url, set := shifted(t)
	n := startNode(t, url)
	n.within(patience, "it follows", func() bool { return n.tail.Behind() < patience/20 })
	before := n.readKeys()
	set(2*time.Hour, fmt.Sprintf(`INSERT INTO revoked_tokens (id, expires) VALUES ('t1', %d)`, time.Now().Add(10*time.Hour).UnixMilli()))
	n.within(patience, "t1 revoked", n.knows("t1"))
	n.within(patience, "the keys are read", func() bool { return n.readKeys() > before })
	n.within(patience, "it follows again", func() bool { return n.tail.Behind() < patience/20 && n.tail.Ahead() > time.Hour })
	n.revoke("t2")
	set(0, "")
	n.within(patience, "it follows a clock that was set back", func() bool { return n.tail.Ahead() < time.Hour })
}

// TestStandbyThatLaggedTakesOver: what it had not got is lost, and nothing that comes
// after it is.
func TestStandbyThatLaggedTakesOver(t *testing.T) {
	t.Parallel()
	first := postgrestest.Start(t)
	text := first.Database(t)
	second := first.Standby(t)
	asUser := func(s *postgrestest.Server) string { return strings.Replace(text, first.Host(), s.Host(), 1) }
	for _, set := range []string{"ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"} {
		postgrestest.Exec(t, first.Address(), set)
	}
	a := startNode(t, strings.Replace(text, first.Host(), first.Host()+","+second.Host(), 1))
	a.revoke("early")
	a.within(patience, "the tables are in the copy", func() bool {
		return postgrestest.Ask(t, asUser(second), `SELECT to_regclass('changes') IS NOT NULL`) == "true"
	})
	a.within(patience, "early is in the copy", func() bool {
		return postgrestest.Ask(t, asUser(second), `SELECT count(*) FROM changes`) == "1"
	})
	for _, set := range []string{"ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"} {
		postgrestest.Exec(t, second.Address(), set)
	}
	a.within(patience, "the copy follows no more", func() bool {
		return postgrestest.Ask(t, second.Address(), `SELECT count(*) FROM pg_stat_wal_receiver`) == "0"
	})
	var lost []string
	for i := range 100 { // PostgreSQL's numbers go on 32 behind what the copy has
		lost = append(lost, fmt.Sprintf("lost%d", i))
		a.revoke(lost[i])
	}
	done := time.Now()
	a.within(patience, "it has read them", func() bool { return time.Since(done) > a.tail.Behind() })
	first.Kill()
	second.Promote(t)
	b := startNode(t, asUser(second))
	b.revoke("late")
	a.within(patience, "late revoked", a.knows("late"))
	a.within(patience, "it is told", func() bool { return a.toldOf("the database is not what it was") == 1 })
	if i := slices.IndexFunc(lost, func(id string) bool { return !a.knows(id)() }); i >= 0 {
		t.Errorf("%s was forgotten", lost[i])
	}
}
