package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// many rows, so that to read them all would be the dearest way to one of them.
const crowd = `
INSERT INTO accounts (id, username, email, name, nickname, zone_info, locale, password_hash, password_set, password_expire, state, created, updated, email_verified, phone_verified, attributes)
SELECT 'a' || i, 'u' || i, 'u' || i || '@x.example', '', '', '', '', '', 0, 0, 'active', 0, 0, 0, 0, '{}' FROM generate_series(1, 20000) i;
INSERT INTO families (id, account, client, source, amr, scopes, auth_time, created, expires, revoked, session, claims)
SELECT 'f' || i, 'a' || i, 'c' || i % 500, '', '', '', 0, 0, $e + i * 1000, 0, 's' || i, '' FROM generate_series(1, 20000) i;
INSERT INTO refresh_tokens (family, position, hash, spent) SELECT n, 0, decode(md5('r' || n), 'hex'), 0 FROM families;
INSERT INTO tokens (family, id, expires) SELECT n, 't' || n, expires FROM families;
INSERT INTO revoked_tokens (id, expires) SELECT 'x' || i, $e + i * 1000 FROM generate_series(1, 20000) i;
INSERT INTO codes (hash, client, account, source, redirect_uri, scopes, amr, nonce, challenge, auth_time, expires, spent, family, session, claims, acr)
SELECT decode(md5('c' || i), 'hex'), 'c' || i % 500, 'a' || i, '', '', '', '', '', '', 0, $e + i * 1000, 1, 'f' || i, 's' || i, '', '' FROM generate_series(1, 20000) i;
INSERT INTO sessions (hash, id, device, account, source, amr, auth_time, created, seen, expires)
SELECT decode(md5('s' || i), 'hex'), 's' || i, '', 'a' || i, '', '', 0, 0, 0, $e + i * 1000 FROM generate_series(1, 20000) i;
INSERT INTO session_clients (session, client) SELECT n, 'c1' FROM sessions;
INSERT INTO one_time_codes (hash, code_hash, client, source, usage, kind, destination, failures, code_expires, expires, sent)
SELECT decode(md5('o' || i), 'hex'), '', '', '', '', '', '', 0, 0, $e + i * 1000, 1 FROM generate_series(1, 20000) i;
INSERT INTO attempts (hash, neighbourhood, failures, since, until, expires, name)
SELECT decode(md5('a' || i), 'hex'), i % 16384, 1, 0, 0, $e + i * 1000, decode(md5('n' || i), 'hex') FROM generate_series(1, 20000) i;
INSERT INTO quotas (hash, taken, ends) SELECT decode(md5('q' || i), 'hex'), 1, $e + i * 1000 FROM generate_series(1, 20000) i;
INSERT INTO known_addresses (account, address, seen) SELECT 'a' || i, decode(md5('k' || i), 'hex'), $e + i * 1000 FROM generate_series(1, 20000) i;
INSERT INTO consents (account, client, scope, updated) SELECT 'a' || i, 'c' || i % 500, 'openid', 0 FROM generate_series(1, 20000) i;
INSERT INTO opaque_tokens (hash, id, client, subject, account, family, scopes, audience, issued, expires, claims)
SELECT decode(md5('p' || i), 'hex'), 'p' || i, '', '', '', 'f' || i, '', '', 0, $e + i * 1000, '' FROM generate_series(1, 20000) i;
INSERT INTO deliveries (id, client, uri, body, tries, next, expires) SELECT 'd' || i, 'c' || i % 2, '', '', 0, $e - 7200000 + i, $e + i * 2000 FROM generate_series(1, 20000) i;
INSERT INTO password_history (account, hash, at) SELECT 'a' || i, '', 0 FROM generate_series(1, 20000) i;
INSERT INTO clients (id, record, generation, updated) SELECT 'c' || i, '', 1, 0 FROM generate_series(1, 20000) i;
INSERT INTO events (at, actor, action, subject, detail) SELECT $e + i * 1000, '', '', '', '' FROM generate_series(1, 20000) i;
INSERT INTO changes (at, keys, revoked) SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) - 3000000 + i * 140, 0, '[]' FROM generate_series(1, 20000) i;
ANALYZE`

// TestNothingReadsAWholeTable does what requests do beside the rows of many people.
// The server counts how often a table was read from its beginning to its end, and how
// many entries of each index; each operation is done often enough for PostgreSQL to
// settle on a plan for all values.
func TestNothingReadsAWholeTable(t *testing.T) {
	text := postgrestest.URL(t)
	st := open(t, text)
	admin, err := pgx.Connect(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	if _, err := admin.Exec(t.Context(), strings.ReplaceAll(crowd, "$e", fmt.Sprint(now.Add(time.Hour).UnixMilli()))); err != nil {
		t.Fatal(err)
	}
	cursor, err := st.Position(t.Context()) // looks for gaps once, at a start
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil { // a connection tells what it has done when it ends
		t.Fatal(err)
	}
	before, entries := wholeReads(t, admin), indexReads(t, admin)
	st = open(t, text)
	for i := range 12 {
		people(t, st, i)
	}
	followed(t, st, cursor)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	read := 0
	for table, n := range wholeReads(t, admin) {
		if n -= before[table]; n > 0 {
			t.Errorf("%s was read as a whole %d times", table, n)
		}
		read++
	}
	if read < 15 {
		t.Errorf("the server counts for %d tables", read)
	}
	for index, n := range indexReads(t, admin) {
		if n -= entries[index]; n > 12*500 {
			t.Errorf("%d entries of the index %s were read", n, index)
		}
	}
}

// followed is what each node asks twice a second, beside the changes of an hour.
func followed(t *testing.T, st *store.Store, cursor *store.Cursor) {
	t.Helper()
	for range 12 {
		for more := true; more; {
			var err error
			if _, _, more, err = st.Changes(t.Context(), cursor, now); err != nil {
				t.Fatal(err)
			}
		}
		revoked := store.RevokeToken{ID: fmt.Sprint("followed", cursor), Expires: now.Add(time.Hour)}
		if err := st.Apply(t.Context(), now, revoked); err != nil {
			t.Fatal(err)
		}
	}
}

// indexReads is how many entries of each index were read by connections that have
// ended.
func indexReads(t *testing.T, admin *pgx.Conn) map[string]int {
	t.Helper()
	return counts(t, admin, `SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes`)
}

// people is one round of what they and their clients do.
func people(t *testing.T, st *store.Store, i int) {
	t.Helper()
	ctx := t.Context()
	apply := func(writes ...store.Write) {
		t.Helper()
		if err := st.Apply(ctx, now, writes...); err != nil {
			t.Fatal(err)
		}
	}
	id := fmt.Sprint("new", i)
	hash := store.Hash{byte(i), 1}
	later := now.Add(30 * time.Minute)
	session := store.Session{Hash: hash, ID: id, Account: id, Expires: later}
	code := store.Code{Hash: hash, Account: id, Client: "c1", Session: id, Expires: later}
	family := store.Family{ID: id, Account: id, Client: "c1", Session: id, Expires: later}
	apply(store.PutAccount{Account: store.Account{ID: id, Username: id, State: store.Active}},
		store.TakeQuota{Key: hash, Most: 9, Window: time.Hour}, store.RequireQuota{Key: hash, Most: 9}, store.PutKnownAddress{Account: id, Address: hash},
		store.PutSession{Session: session}, store.PutConsent{Account: id, Client: "c1", Scopes: []string{"openid"}},
		store.RequireConsent{Account: id, Client: "c1"}, store.PutCode{Code: code})
	apply(store.SpendCode{Hash: hash, Family: id}, store.PutFamily{Family: family},
		store.PutToken{Token: store.Token{ID: id, Family: id, Expires: later}}, store.PutRefresh{Refresh: store.Refresh{Hash: hash, Family: id}})
	apply(store.SpendRefresh{Hash: hash}, store.PutRefresh{Refresh: store.Refresh{Hash: store.Hash{byte(i), 2}, Family: id, N: 1}},
		store.DropSpentRefresh{Family: id}, store.PutOpaque{Opaque: store.Opaque{Hash: hash, ID: "o" + id, Account: id, Family: id, Expires: later}})
	apply(store.PutAttempt{Key: hash, Name: hash, Most: 5, Window: time.Hour, Lock: time.Hour}, store.ClearName{Name: hash},
		store.PutOneTimeCode{Code: store.OneTimeCode{Hash: hash, Sent: true, CodeExpires: later, Expires: later}}, store.SpendOneTimeCode{Hash: hash, Most: 3},
		store.PutDelivery{Delivery: store.Delivery{ID: id, Next: now, Expires: later}}, store.RetryDelivery{ID: id, Next: later},
		store.SetPassword{Account: id, Old: "*", New: "x", Remember: 3}, store.TouchSession{Hash: hash})
	for _, err := range []error{
		last(st.FindAccount(ctx, store.ByUsername, id)), last(st.Account(ctx, id)), last(st.Accounts(ctx, "a1", 20)), last(st.Clients(ctx, "c1", 20)),
		last(st.FamiliesOf(ctx, now, id)), last(st.SignInsOf(ctx, now, id)), last(st.SessionsOf(ctx, now, id)), last(st.ConsentsOf(ctx, id)), last(st.ClientsOfSession(ctx, id)),
		last(st.DueClients(ctx, now)), last(st.DueDeliveries(ctx, now, "c1", 10)), last(st.Quota(ctx, now, hash)), last(st.Attempts(ctx, now, hash)), last(st.PasswordHistory(ctx, id, 5)),
		last(st.Session(ctx, hash)), last(st.Code(ctx, hash)), last(st.Opaque(ctx, hash)), last(st.Client(ctx, "c7")), last(st.Events(ctx, now.Add(time.Hour), 5)),
		last(st.Sweep(ctx, now, 100)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := st.FamilyOf(ctx, id); err != nil {
		t.Fatal(err)
	}
	apply(store.RevokeTokensOf{Account: id}, store.LeaveSession{ID: id, Clients: []string{"c2"}}, store.RevokeSession{ID: id, Clients: []string{"c1"}})
	apply(store.RefuseClient{Client: id, Longest: time.Hour}, store.RevokeClient{Client: id})
	apply(store.RevokeFamily{Family: id}, store.RevokeSession{ID: id, All: true}, store.RevokeClientOf{Account: id, Client: "c1"},
		store.RevokeAccount{Account: id}, store.RemoveAccount{Account: id})
}

func last[T any](_ T, err error) error { return err }

// wholeReads is how often each table was read from its beginning to its end, by
// connections that have ended.
func wholeReads(t *testing.T, admin *pgx.Conn) map[string]int {
	t.Helper()
	for {
		var others int
		err := admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'gatehouse%'`).Scan(&others)
		if err != nil {
			t.Fatal(err)
		}
		if others == 0 {
			break
		}
	}
	if _, err := admin.Exec(t.Context(), `SELECT pg_stat_clear_snapshot()`); err != nil {
		t.Fatal(err)
	}
	return counts(t, admin, `SELECT relname, seq_scan FROM pg_stat_user_tables WHERE n_live_tup > 1000`) // what is small is best read as a whole
}

// counts reads names with numbers.
func counts(t *testing.T, admin *pgx.Conn, sql string) map[string]int {
	t.Helper()
	rows, err := admin.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	reads := map[string]int{}
	var table string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&table, &n}, func() error { reads[table] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	return reads
}
