package move

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

func TestMain(m *testing.M) {
	if where := os.Getenv(asImport); where != "" {
		if err := importInput(where); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(postgrestest.Main(m))
}

// database makes empty ones of a kind.
type database struct {
	name   string
	schema string // lists tables and columns
	fresh  func(*testing.T) *store.Store
}

var databases = []database{
	{
		name:   "SQLite",
		schema: `SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name <> 'sqlite_sequence'`,
		fresh: func(t *testing.T) *store.Store {
			st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "issuer.db"))
			return opened(t, st, err)
		},
	},
	{
		name:   "PostgreSQL",
		schema: `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()`,
		fresh: func(t *testing.T) *store.Store {
			address, err := postgres.ParseAddress(postgrestest.URL(t))
			if err != nil {
				t.Fatal(err)
			}
			st, err := postgres.Open(t.Context(), address)
			return opened(t, st, err)
		},
	},
}

func opened(t *testing.T, st *store.Store, err error) *store.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// unknown says which of a database's tables are neither moved nor known to stay,
// and how the columns of those that are moved differ.
func unknown(have map[string][]string) []string {
	var found []string
	for name := range have {
		if strange([]string{name}) != "" {
			found = append(found, name+": a table that is neither moved nor known to stay")
		}
	}
	for _, t := range tables {
		if err := t.differ(have[t.name], "the schema"); err != nil {
			found = append(found, err.Error())
		}
	}
	slices.Sort(found)
	return found
}

// TestEveryColumnOfTheSchemaIsMoved fails when a migration adds what an export
// would leave behind.
func TestEveryColumnOfTheSchemaIsMoved(t *testing.T) {
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			have := map[string][]string{}
			err := db.fresh(t).Snapshot(t.Context(), func(tx *sql.Tx) error {
				rows, err := tx.QueryContext(t.Context(), db.schema)
				if err != nil {
					return err
				}
				defer func() { _ = rows.Close() }()
				for rows.Next() {
					var table, column string
					if err := rows.Scan(&table, &column); err != nil {
						return err
					}
					have[table] = append(have[table], column)
				}
				return rows.Err()
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, why := range unknown(have) {
				t.Errorf("%s: write it into the tables of table.go", why)
			}
		})
	}
}

func TestNewTableOrColumnIsFound(t *testing.T) {
	have := map[string][]string{}
	for _, t := range tables {
		have[t.name] = t.names()
	}
	have["quotas"] = append(slices.Clone(have["quotas"]), "reason")
	have["passkeys"] = []string{"n"}
	have["events"] = have["events"][1:]
	want := "events: the schema has no column n\n" +
		"passkeys: a table that is neither moved nor known to stay\n" +
		"quotas: the schema has a column reason that this program does not know: take the newer program"
	if got := strings.Join(unknown(have), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
