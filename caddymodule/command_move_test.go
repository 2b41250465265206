package caddymodule

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// storeAt is a Caddyfile with a store and nothing else of note.
func storeAt(t *testing.T, store string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "Caddyfile")
	text := "{\n\ttoken_issuer {\n\t\tissuer https://auth.example.com\n\t\tstore " + store + "\n\t}\n}\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// With another environment than the server's a Caddyfile means another store, which is
// not there. An export that made it would be of nothing, and said to be of all.
func TestExportMakesNoStore(t *testing.T) {
	w := &world{T: t, dir: t.TempDir()}
	folder := filepath.Join(w.dir, "nothing")
	w.fails([]string{"export", "-", "--stopped", "--config", storeAt(t, "sqlite "+folder+"/issuer.db")},
		"store "+folder+"/issuer.db: there is no store: name the configuration that the server runs with, as its user and with its environment")
	if _, err := os.Stat(folder); err == nil {
		t.Error("an export made the store's folder")
	}

	text := postgrestest.URL(t)
	t.Setenv("DATABASE_OF_TEST", text)
	of := storeAt(t, "postgres {env.DATABASE_OF_TEST}")
	for range 2 { // the first one made no tables
		w.fails([]string{"export", "-", "--stopped", "--config", of}, ": there is no store: name the configuration that the server runs with")
	}
}

// An export or an import that is refused because nodes serve has changed nothing: they may be older
// than the program that exports.
func TestRefusedMovesUpgradeNothing(t *testing.T) {
	text := postgrestest.URL(t)
	t.Setenv("DATABASE_OF_TEST", text)
	address, err := postgres.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	st, err := postgres.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := st.Position(t.Context()); err != nil { // as one that serves: it need not be able to listen
		t.Fatal(err)
	}
	// The node is of a program that knew one migration less.
	postgrestest.Exec(t, text, `DELETE FROM schema_versions WHERE version_id = (SELECT MAX(version_id) FROM schema_versions)`)
	before := postgrestest.Ask(t, text, `SELECT MAX(version_id)::TEXT FROM schema_versions`)
	w := &world{T: t, dir: t.TempDir()}
	at := storeAt(t, "postgres {env.DATABASE_OF_TEST}")
	w.fails([]string{"export", "-", "--stopped", "--config", at}, " is served by 1 running")
	w.fails([]string{"import", "-", "--config", at}, ": an import needs a database that nobody has served from")
	if after := postgrestest.Ask(t, text, `SELECT MAX(version_id)::TEXT FROM schema_versions`); after != before {
		t.Errorf("schema %s, then %s", before, after)
	}
}
