package move

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// A key that nobody can open is found before anything is stored, and not where the export
// is damaged: then it may be the damage.
func TestImportWithAKeyThatDoesNotOpenStoresNothing(t *testing.T) {
	file := example(t, 3)
	shut := errors.New("does not open")
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			st := db.fresh(t)
			empty := exported(t, st)
			var asked []store.Key
			second := func(k store.Key) error {
				if asked = append(asked, k); len(asked) == 2 {
					return shut
				}
				return nil
			}
			if _, err := Import(t.Context(), st, bytes.NewReader(file), second); !errors.Is(err, shut) || OfFile(err) {
				t.Errorf("with a key that does not open: %v", err)
			}
			want := tables[0].sample(1)
			if k := asked[0]; k.ID != want[1] || k.Use != want[2] || !bytes.Equal(k.Material, want[4].([]byte)) || !k.Sealed {
				t.Errorf("asked of %+v, want %v", k, want)
			}
			asked = nil
			damaged := bytes.Replace(file, []byte("name 001"), []byte("name 101"), 1)
			if _, err := Import(t.Context(), st, bytes.NewReader(damaged), second); !errors.Is(err, ErrFile) || errors.Is(err, shut) {
				t.Errorf("damaged as well: %v", err)
			}
			if after := exported(t, st); !bytes.Equal(empty, after) {
				t.Fatal("something was stored")
			}
			all := func(store.Key) error { return nil }
			if _, err := Import(t.Context(), st, bytes.NewReader(file), all); err != nil || !bytes.Equal(file, exported(t, st)) {
				t.Errorf("with keys that open: %v", err)
			}
		})
	}
}

func TestFailedImportIsOfItsFileOrOfTheStore(t *testing.T) {
	file := string(example(t, 2))
	broken := readerFunc(func([]byte) (int, error) { return 0, errors.New("broken") })
	for name, c := range map[string]struct {
		from   io.Reader
		before string // somebody's row or table
		of     bool
	}{
		"a file that is none":          {strings.NewReader("SQLite format 3\x00\n"), "", true},
		"a file that cannot be read":   {broken, "", true},
		"an end that cannot be read":   {io.MultiReader(strings.NewReader(file), broken), "", true},
		"a row that cannot be stored":  {bytes.NewReader(resealed(strings.Split(strings.TrimSuffix(strings.Replace(file, `"id 002`, `"id 001`, 1), "\n"), "\n"))), "", true},
		"a store that has rows":        {strings.NewReader(file), `INSERT INTO events (at, actor, action, subject, detail) VALUES (1, '', '', '', '')`, false},
		"a store that has more tables": {strings.NewReader(file), `CREATE TABLE passkeys (n BIGINT PRIMARY KEY)`, false},
	} {
		t.Run(name, func(t *testing.T) {
			url := postgrestest.URL(t)
			st, err := at(t.Context(), url)
			opened(t, st, err)
			if c.before != "" {
				postgrestest.Exec(t, url, c.before)
			}
			if _, err := Import(t.Context(), st, c.from, nil); err == nil || OfFile(err) != c.of {
				t.Errorf("of its file: %v, want %v: %v", OfFile(err), c.of, err)
			}
		})
	}
}

// Somebody else's import, or a node that starts, has the tables for as long as it takes:
// that is said, and not what the database calls it.
func TestImportBesideWhoHoldsTheStore(t *testing.T) {
	url := postgrestest.URL(t)
	st, err := at(t.Context(), postgrestest.With(url, "lock_timeout", "50"))
	opened(t, st, err)
	file := example(t, 2)
	for what, statement := range map[string]string{
		"a node that makes its first key": `SELECT floor FROM schema_floor FOR UPDATE`,
		"somebody who writes":             `INSERT INTO events (at, actor, action, subject, detail) VALUES (1, '', '', '', '')`,
	} {
		other, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Exec(t.Context(), `BEGIN; `+statement); err != nil {
			t.Fatal(err)
		}
		_, err = Import(t.Context(), st, bytes.NewReader(file), nil)
		if want := "is held by another import, a server that is starting or an open transaction: let that end, and try again: "; !errors.Is(err, store.ErrHeld) || !strings.HasPrefix(err.Error(), want) || OfFile(err) {
			t.Errorf("beside %s: %v", what, err)
		}
		_, err = other.Exec(t.Context(), `ROLLBACK`)
		if err := errors.Join(err, other.Close(context.Background())); err != nil {
			t.Error(err)
		}
	}
	if _, err := Import(t.Context(), st, bytes.NewReader(file), nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
