package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// refusedStart wants a start to fail, and to say this.
func refusedStart(t *testing.T, text string, s schema, want string) {
	t.Helper()
	if st, err := open(t.Context(), parsed(t, text), s); err == nil {
		_ = st.Close()
		t.Errorf("started, want %q", want)
	} else if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want %q", err, want)
	}
}

// TestRoleThatCannotMakeTablesIsToldWhatToGrant instead of the statement that failed.
func TestRoleThatCannotMakeTablesIsToldWhatToGrant(t *testing.T) {
	t.Parallel()
	text := postgrestest.URL(t)
	postgrestest.Exec(t, text, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	name, as := postgrestest.Role(t, text)
	refusedStart(t, as, current(), "has the schema public, in which the role "+name+" may make no tables: GRANT CREATE ON SCHEMA public TO "+name+", or make the database with: createdb --owner "+name)
	postgrestest.Exec(t, text, "GRANT CREATE ON SCHEMA public TO "+name)
	signIn(t, opened(t, parsed(t, as), current()), "a")
}

// TestRightThatIsNeededLaterIsMissedAtTheStart, and not by the first rotation of a key.
func TestRightThatIsNeededLaterIsMissedAtTheStart(t *testing.T) {
	t.Parallel()
	text := postgrestest.URL(t)
	signIn(t, opened(t, parsed(t, text), current()), "a")
	name, as := postgrestest.Role(t, text)
	all := "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO " + name
	for without, want := range map[string]string{
		"UPDATE ON schema_floor":            "has the table schema_floor, on which the role " + name + " may not UPDATE: " + all,
		"UPDATE ON schema_versions":         "has the table schema_versions, on which the role " + name + " may not UPDATE: ",
		"DELETE, INSERT ON events":          "has the table events, on which the role " + name + " may not DELETE (one of 2 rights that are missing): ",
		"SELECT ON changes, revoked_tokens": "has the table changes, on which the role " + name + " may not SELECT (one of 2 rights that are missing): ",
	} {
		postgrestest.Exec(t, text, all+"; REVOKE "+without+" FROM "+name)
		refusedStart(t, as, current(), want)
	}
	// What it says is enough, for all that a node does; and less of the two tables.
	postgrestest.Exec(t, text, all+"; REVOKE INSERT, DELETE ON schema_floor, schema_versions FROM "+name)
	postgrestest.Exec(t, text, "CREATE TABLE of_the_operator (n INT)") // nobody's business
	st := opened(t, parsed(t, as), current())
	signIn(t, st, "b")
	key := store.Key{ID: "k", Use: "sig", Algorithm: "ES256", Material: []byte("x"), Created: now, SignFrom: now}
	if err := st.Apply(t.Context(), now, store.PutNextKey{Key: key}, store.PutEvent{}, store.RevokeAccount{Account: "b"}); err != nil {
		t.Error(err)
	}
	if n, err := st.Sweep(t.Context(), now.Add(24*365*time.Hour), 100); err != nil || n == 0 {
		t.Errorf("swept %d rows, %v", n, err)
	}
	if _, err := st.Position(t.Context()); err != nil {
		t.Error(err)
	}
}

// documented is what operators copy for nodes that have rights on rows alone.
func documented(t *testing.T, owner, node string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```sql\nGRANT ")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatal("docs/operating.md has no such block")
	}
	return strings.NewReplacer("gatehouse_node", node, "FOR ROLE gatehouse ", "FOR ROLE "+owner+" ").Replace("GRANT " + block)
}

// TestUpgradeIsTheOwners: who has rights on rows alone is told who is to start first.
func TestUpgradeIsTheOwners(t *testing.T) {
	t.Parallel()
	text := postgrestest.URL(t)
	owner := parsed(t, text).way.Load().config.User
	signIn(t, opened(t, parsed(t, text), current()), "a")
	name, as := postgrestest.Role(t, text)
	postgrestest.Exec(t, text, documented(t, owner, name)+"; GRANT CREATE ON SCHEMA public TO "+name)
	newer := next(t, `ALTER TABLE accounts ADD COLUMN department TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE TABLE departments (n BIGINT PRIMARY KEY);`)
	refusedStart(t, as, newer, fmt.Sprintf("has schema %d, and this program needs %d: only the role %s, which made its tables, may change them; start one node as %s first",
		current().target(), newer.target(), owner, owner))
	signIn(t, opened(t, parsed(t, text), newer), "b")
	signIn(t, opened(t, parsed(t, as), newer), "c") // the new table is among what was granted
	postgrestest.Exec(t, text, "REVOKE ALL ON departments FROM "+name)
	refusedStart(t, as, newer, "has the table departments, on which the role "+name+" may not DELETE (one of 4 rights that are missing): GRANT ")
	signIn(t, opened(t, parsed(t, as), current()), "d") // it knows nothing of that table
}
