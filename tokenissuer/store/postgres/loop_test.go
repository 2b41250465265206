package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// loop is somebody who signed in twenty thousand times today, with two good tokens for
// each, among as many others.
const loop = `
INSERT INTO accounts (id, username, email, name, nickname, zone_info, locale, password_hash, password_set, password_expire, state, created, updated, email_verified, phone_verified, attributes)
SELECT 'a' || i, 'u' || i, 'u' || i || '@x.example', '', '', '', '', '', 0, 0, 'active', 0, 0, 0, 0, '{}' FROM generate_series(1, 20000) i;
INSERT INTO families (id, account, client, source, amr, scopes, auth_time, created, expires, revoked, session, claims)
SELECT 'f' || i, CASE WHEN i % 2 = 0 THEN 'a1' ELSE 'a' || i END, 'c', '', '', '', 0, 0, $e + i, 0, '', '' FROM generate_series(1, 40000) i WHERE i % 2 = 0 OR i < 20000;
INSERT INTO tokens (family, id, expires) SELECT n, id || '/' || p, $e FROM families CROSS JOIN generate_series(1, 2) p;
ANALYZE`

// An operator takes a role from such an account: each of its tokens is refused, nobody
// else's, and no transaction names more of them than others can read at once.
func TestRoleOfALoopIsTakenInSmallSteps(t *testing.T) {
	text := postgrestest.URL(t)
	st := open(t, text)
	postgrestest.Exec(t, text, strings.ReplaceAll(loop, "$e", fmt.Sprint(now.Add(time.Hour).UnixMilli())))
	was, err := st.Account(t.Context(), "a1")
	if err != nil {
		t.Fatal(err)
	}
	next := was
	next.Attributes = map[string]string{"operator/role": "reader"}
	var steps []int
	st.Follow(func(_ time.Time, revoked []store.Revocation) { steps = append(steps, len(revoked)) })
	began := time.Now()
	if err := st.Apply(t.Context(), now, store.UpdateAccount{Account: next, Was: &was}, store.RevokeTokensOf{Account: "a1"}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d transactions in %s", len(steps), time.Since(began).Round(time.Millisecond))
	if most := slices.Max(steps); most > 500 {
		t.Errorf("a transaction refuses %d tokens", most)
	}
	revoked := 0
	if err := st.Revocations(t.Context(), now, func(some []store.Revocation) { revoked += len(some) }); err != nil {
		t.Fatal(err)
	}
	const want = 2 * (20_000 + 1) // the account has a sign-in besides
	if revoked != want {
		t.Errorf("%d tokens are refused, want %d", revoked, want)
	}
	if got := postgrestest.Ask(t, text, `SELECT max(json_array_length(revoked::json))::text FROM changes`); got != "500" {
		t.Errorf("a row for other nodes has up to %s revocations", got)
	}
	if got := postgrestest.Ask(t, text, `SELECT count(*)::text FROM families WHERE revoked > 0`); got != "0" {
		t.Errorf("%s sign-ins have ended", got)
	}
}
