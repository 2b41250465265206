package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

func TestAddressIsNamedWithoutItsPassword(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://app:secret@db.example.com/gatehouse":                                   "postgres://app@db.example.com:5432/gatehouse",
		"postgresql://app:s%2Fcret@db.example.com:6432/gatehouse?sslmode=require":          "postgres://app@db.example.com:6432/gatehouse",
		"postgres://app@a.example,b.example:6432/gatehouse?sslmode=disable":                "postgres://app@a.example:5432,b.example:6432/gatehouse",
		"postgres://app@a.example:1,b.example:2/gatehouse?target_session_attrs=read-write": "postgres://app@a.example:1,b.example:2/gatehouse",
		"postgres:///gatehouse?host=/run/postgresql&user=app&password=secret":              "postgres://app@/run/postgresql:5432/gatehouse",
		"postgres://app@[::1]/gatehouse?search_path=issuer&pool_max_conns=4":               "postgres://app@[::1]:5432/gatehouse?search_path=issuer",
		"postgres://app@[::1]/gatehouse?role=issuer&options=-cjit%3Doff":                   "postgres://app@[::1]:5432/gatehouse?role=issuer",
	} {
		a, err := ParseAddress(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, got := range []string{a.String(), fmt.Sprint(a), fmt.Sprintf("%v %+v %#v", a, a, a)} {
			if !strings.Contains(got, want) || strings.Contains(got, "cret") {
				t.Errorf("%s prints as %s, want %s", text, got, want)
			}
		}
	}
}

// TestNoErrorShowsThePassword: whatever is wrong with the address, and wherever in
// it a careless hand has put the password.
func TestNoErrorShowsThePassword(t *testing.T) {
	for _, text := range []string{
		"",
		"gatehouse",
		"mysql://app:hunter2@db.example.com/gatehouse",
		"host=db.example.com password=hunter2",
		"postgres://app:hun/ter2@db.example.com/gatehouse",
		"postgres://app:ter2%zz@db.example.com/gatehouse",
		"postgres://app:1#ter2@db.example.com/gatehouse",
		"postgres://app:1?ter2@db.example.com/gatehouse",
		"postgres://app:1/ter2@db.example.com/gatehouse",
		"postgres://app:1/b?ter2@db.example.com/gatehouse",
		"postgres://app:1/b?a=ter2%zz@db.example.com/gatehouse",
		"postgres://app:1@ter2@db.example.com:x/gatehouse",
		"postgres://app:[ter2@db.example.com/gatehouse",
		"postgres://app:ter2@db.example.com/gatehouse?sslmode=ter2",
		"postgres://app:ter2@db.example.com/gatehouse?sslmode=verify_full",
		"postgres://app@db.example.com/gatehouse?password=ter2&target_session_attrs=ter2",
		"postgres://app:ter2@db.example.com/gatehouse?sslrootcert=/nowhere/ca.pem&sslmode=verify-full",
		"postgres://app:ter2@db.example.com:99999/gatehouse",
		"postgres://app:ter2@db.example.com/gatehouse?connect_timeout=soon",
		"postgres://app:ter2@db.example.com/gatehouse?pool_max_conns=1001",
	} {
		_, err := ParseAddress(text)
		if err == nil {
			t.Errorf("%s: accepted", text)
			continue
		}
		if strings.Contains(err.Error(), "ter2") || strings.Contains(err.Error(), "\n") || len(err.Error()) < 10 {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestAddressOfMoreThanOnePlaceIsRefused: copies that lag, and schemas that would be
// taken for one another.
func TestAddressOfMoreThanOnePlaceIsRefused(t *testing.T) {
	for query, want := range map[string]string{
		"target_session_attrs=any":             "target_session_attrs: expected primary",
		"target_session_attrs=standby":         "target_session_attrs: expected primary",
		"target_session_attrs=prefer-standby":  "target_session_attrs: expected primary",
		"target_session_attrs=read-only":       "target_session_attrs: expected primary",
		"options=-csearch_path%3Dissuer":       "options: search_path is to be a parameter of its own, search_path=its_name",
		"options=-c%20Search_Path%3Dissuer":    "options: search_path is to be",
		"options=-c%20jit%3Doff%20-crole%3Dit": "options: role is to be",
	} {
		if _, err := ParseAddress("postgres://app@a.example,b.example/x?" + query); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
}

// A template's last & and an escaped name are what pgx reads, too.
func TestAddressMayEndWithAnAmpersand(t *testing.T) {
	for _, text := range []string{"postgres://gatehouse@db/gatehouse?sslmode=require&", "postgres://gatehouse@db/gatehouse?search%5Fpath=x"} {
		if _, err := ParseAddress(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestParameterThatNobodyHeedsIsRefused by its name: PostgreSQL's programs know it, or
// pgx's pool, and the server would refuse it at the start alone.
func TestParameterThatNobodyHeedsIsRefused(t *testing.T) {
	for query, want := range map[string]string{
		"keepalives=1":                                     "keepalives: leave it out: ",
		"keepalives_idle=30":                               "keepalives_idle: leave it out, or write tcp_keepalives_idle",
		"keepalives_interval=5&sslmode=require":            "keepalives_interval: ",
		"gssencmode=disable":                               "gssencmode: leave it out: sslmode says",
		"gssdelegation=0":                                  "gssdelegation: ",
		"hostaddr=10.0.0.1":                                "hostaddr: write the address as the host",
		"load_balance_hosts=random":                        "load_balance_hosts: leave it out: of several hosts the primary",
		"ssl_min_protocol_version=TLSv1.3":                 "ssl_min_protocol_version: leave it out: TLS 1.2",
		"ssl_max_protocol_version=TLSv1.2":                 "ssl_max_protocol_version: leave it out: TLS 1.2",
		"sslcrl=/etc/crl.pem":                              "sslcrl: leave it out: no list",
		"sslcompression=0":                                 "sslcompression: is not known; those that are: sslmode, ",
		"sslmod=verify-full":                               "sslmod: is not known; those that are: sslmode, ",
		"SSLMode=verify-full":                              "SSLMode: is not known; those that are: sslmode, ",
		"requiressl=1":                                     "requiressl: write sslmode=require",
		"requirepeer=postgres":                             "requirepeer: leave it out",
		"fallback_application_name=blue":                   "fallback_application_name: write application_name",
		"replication=database":                             "replication: leave it out",
		"scram_client_key=x":                               "scram_client_key: write the password",
		"oauth_client_id=x":                                "oauth_client_id: leave it out",
		"pool_min_conns=2":                                 "pool_min_conns: leave it out: of a pool's words only pool_max_conns is known",
		"pool_max_conns=4&pool_max_conn_lifetime=1h":       "pool_max_conn_lifetime: leave it out",
		"schema=issuer":                                    "schema: write search_path",
		"search_path=issuer&jit=off&plan_cache_mode=x":     "",
		"tcp_user_timeout=1&tcp_keepalives_idle=1":         "",
		"sslmode=disable&sslsni=0&channel_binding=disable": "",
		"auto_explain.log_min_duration=1s&options=-cx%3Dy": "",
		"min_protocol_version=3.0&default_query_exec_mode=cache_describe&require_auth=scram-sha-256": "",
	} {
		_, err := ParseAddress("postgres://app@db.example.com/x?" + query)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && !strings.HasPrefix(got, want) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
}

func TestUnsafeWayIsTold(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://app@db.example.com/x":                                      "without encryption",
		"postgres://app@db.example.com/x?sslmode=disable":                      "without encryption",
		"postgres://app@db.example.com/x?sslmode=prefer":                       "without encryption",
		"postgres://app@db.example.com/x?sslmode=require":                      "certificate",
		"postgres://app@db.example.com/x?sslmode=verify-full":                  "",
		"postgres://app@127.0.0.1/x":                                           "",
		"postgres://app@localhost/x?sslmode=disable":                           "",
		"postgres:///x?host=/run/postgresql":                                   "",
		"postgres://app@localhost,db.example.com/x?sslmode=disable":            "without encryption",
		"postgres://app@a.example.com,b.example.com/x?sslmode=verify-full":     "",
		"postgres://app@db.example.com/x?sslmode=verify-ca&application_name=x": "",
	} {
		a, err := ParseAddress(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := a.Unsafe(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestLettersAreUTF8 whatever the database or the role has for its programs.
func TestLettersAreUTF8(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://app@localhost/x":                         "",
		"postgres://app@localhost/x?client_encoding=utf8":    "",
		"postgres://app@localhost/x?client_encoding=WIN1252": "client_encoding: expected UTF8",
	} {
		a, err := ParseAddress(text)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", text, err, want)
			}
			continue
		}
		if err != nil || a.way.Load().config.RuntimeParams["client_encoding"] != "UTF8" {
			t.Errorf("%s: %v", text, err)
		}
	}
	url := postgrestest.URL(t)
	postgrestest.Exec(t, url, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET client_encoding = WIN1252', current_database()); END $$`)
	st := opened(t, parsed(t, url), current())
	for _, id := range []string{"Ángel", "张伟"} {
		signIn(t, st, id)
		if got := postgrestest.Ask(t, postgrestest.With(url, "client_encoding", "UTF8"), `SELECT count(*)::TEXT FROM accounts WHERE id = '`+id+`'`); got != "1" {
			t.Errorf("%s is there %s times", id, got)
		}
	}
}

// TestOperatorsParametersHold beside those that a connection asks for by itself.
func TestOperatorsParametersHold(t *testing.T) {
	a, err := ParseAddress("postgres://app@localhost/x?statement_timeout=60000&connect_timeout=1&application_name=blue")
	if err != nil {
		t.Fatal(err)
	}
	w := a.way.Load()
	for name, want := range map[string]string{
		"statement_timeout": "60000", "lock_timeout": "3000", "idle_in_transaction_session_timeout": "10000", "application_name": "blue",
		"tcp_keepalives_idle": "30", "tcp_keepalives_count": "3", "tcp_user_timeout": "60000",
	} {
		if got := w.config.RuntimeParams[name]; got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	if got := w.config.ConnectTimeout.Seconds(); got != 1 || w.connections != defaultConnections {
		t.Errorf("connects within %v s, %d connections", got, w.connections)
	}
}
