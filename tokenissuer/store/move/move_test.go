package move

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// sample is a row with a value of every kind that differs from row to row.
func (t *table) sample(n int64) row {
	r := make(row, len(t.columns))
	for i, c := range t.columns {
		switch c.kind {
		case number:
			r[i] = n
		case binary:
			sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", c.name, n))
			r[i] = sum[:]
		case object:
			r[i] = map[string]string{"zeta": "<&> \u2028 \"ü\"", "a": fmt.Sprint(n)}
		case optional:
			if n%2 == 0 {
				r[i] = fmt.Sprintf("%s %d", c.name, n)
			}
		case text:
			r[i] = fmt.Sprintf("%s %03d <&> \u2028 \t\\\"\U0001F511", c.name, n)
		}
	}
	return r
}

// example is an export with rows in every table.
func example(t testing.TB, rows int64) []byte {
	t.Helper()
	return written(t, func(t *table) (all []row) {
		for n := range rows {
			all = append(all, t.sample(n+1))
		}
		return all
	})
}

// written is an export of rows.
func written(t testing.TB, rows func(*table) []row) []byte {
	t.Helper()
	lines := []any{header{format, version}}
	counts := map[string]int64{}
	for i := range tables {
		lines = append(lines, section{tables[i].name, tables[i].names()})
		counts[tables[i].name] = 0
		for _, r := range rows(&tables[i]) {
			lines = append(lines, r)
			counts[tables[i].name]++
		}
	}
	var text []byte
	for _, l := range lines {
		b, err := line(l)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, b...)
	}
	b, err := line(end{counts, fmt.Sprintf("%x", sha256.Sum256(text))})
	if err != nil {
		t.Fatal(err)
	}
	return append(text, b...)
}

func exported(t testing.TB, st *store.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := Export(t.Context(), st, &b, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestExportOfAnImportIsTheSame(t *testing.T) {
	first := example(t, 150) // two batches and some
	if _, err := Check(bytes.NewReader(first)); err != nil {
		t.Fatal(err)
	}
	for _, from := range databases {
		for _, to := range databases {
			t.Run(from.name+"To"+to.name, func(t *testing.T) {
				a, b := from.fresh(t), to.fresh(t)
				moved, err := Import(t.Context(), a, bytes.NewReader(first), nil)
				if err != nil || moved.Rows["accounts"] != 150 || moved.Sealed != 150 {
					t.Fatalf("%+v, %v", moved, err)
				}
				second := exported(t, a)
				if _, err := Import(t.Context(), b, bytes.NewReader(second), nil); err != nil {
					t.Fatal(err)
				}
				if third := exported(t, b); !bytes.Equal(first, second) || !bytes.Equal(second, third) {
					t.Errorf("%d, %d and %d bytes", len(first), len(second), len(third))
				}
			})
		}
	}
}

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func account(n int) store.Account {
	id := fmt.Sprintf("account %d", n)
	return store.Account{ID: id, Username: id, State: store.Active, Created: now, Updated: now, Attributes: map[string]string{"b": "1", "a": "2"}}
}

func TestImportedStoreGoesOnWhereTheOtherStood(t *testing.T) {
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			a, b := databases[0].fresh(t), db.fresh(t)
			hash := store.Hash{7}
			family := store.Family{ID: "family", Account: "account 1", Client: "shop", Created: now, Expires: now.Add(time.Hour)}
			err := a.Apply(t.Context(), now, store.PutAccount{Account: account(1)}, store.PutFamily{Family: family},
				store.PutRefresh{Refresh: store.Refresh{Hash: hash, Family: "family"}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Import(t.Context(), b, bytes.NewReader(exported(t, a)), nil); err != nil {
				t.Fatal(err)
			}
			// New rows get numbers of their own, the token is good once.
			successor := store.Refresh{Hash: store.Hash{8}, Family: "family", N: 1}
			if err := b.Apply(t.Context(), now, store.PutAccount{Account: account(2)}, store.SpendRefresh{Hash: hash}, store.PutRefresh{Refresh: successor}); err != nil {
				t.Fatal(err)
			}
			if err := b.Apply(t.Context(), now, store.SpendRefresh{Hash: hash}); !errors.Is(err, store.ErrConflict) {
				t.Errorf("spent twice: %v", err)
			}
			if got, err := b.Account(t.Context(), "account 1"); err != nil || got.Attributes["a"] != "2" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// slow lets a test act when the first bytes of an export have arrived.
type slow struct {
	io.Writer
	once func()
}

func (s *slow) Write(b []byte) (int, error) {
	if s.once != nil {
		s.once()
		s.once = nil
	}
	return s.Writer.Write(b)
}

// What does not count has no last line, and nobody takes it: it may be read at the other
// end of a pipe already.
func TestExportThatDoesNotCountIsNotWhole(t *testing.T) {
	served := errors.New("a node has been started meanwhile")
	var text bytes.Buffer
	asked := 0
	_, err := Export(t.Context(), databases[0].fresh(t), &text, func(context.Context) error { asked++; return served })
	if !errors.Is(err, served) || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
	if _, err := Check(&text); err == nil {
		t.Error("what was written is a whole export")
	}
}

func TestExportIsOfOneMoment(t *testing.T) {
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			st := db.fresh(t)
			if _, err := Import(t.Context(), st, bytes.NewReader(example(t, 400)), nil); err != nil {
				t.Fatal(err)
			}
			before := exported(t, st)
			var during bytes.Buffer
			_, err := Export(t.Context(), st, &slow{&during, func() {
				event := store.Event{At: now, Actor: "operator", Action: "late"}
				if err := st.Apply(t.Context(), now, store.PutEvent{Event: event}); err != nil {
					t.Error(err)
				}
			}}, nil)
			if err != nil || !bytes.Equal(before, during.Bytes()) {
				t.Errorf("%d bytes, then %d, %v", len(before), during.Len(), err)
			}
			if after := exported(t, st); !bytes.Contains(after, []byte(`"late"`)) {
				t.Error("the event was not written")
			}
		})
	}
}

func TestImportTakesNothingBesidesWhatIsThere(t *testing.T) {
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			st := db.fresh(t)
			key := store.Key{ID: "k", Use: "derive", Material: []byte{1}, Created: now}
			if err := st.Apply(t.Context(), now, store.PutKey{Key: key}); err != nil {
				t.Fatal(err)
			}
			before := exported(t, st)
			_, err := Import(t.Context(), st, bytes.NewReader(example(t, 3)), nil)
			if !errors.Is(err, ErrNotEmpty) || err.Error() != "the store is not empty: its table keys has rows; import into one that no server was started with" {
				t.Error(err)
			}
			if !bytes.Equal(before, exported(t, st)) {
				t.Error("it changed the store")
			}
		})
	}
}

// A database that a newer program has changed would lose what this one does not
// know of.
func TestExportLeavesNoColumnBehind(t *testing.T) {
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			st := db.fresh(t)
			err := st.Fill(t.Context(), nil, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(t.Context(), `ALTER TABLE sessions ADD COLUMN risk BIGINT`)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = Export(t.Context(), st, io.Discard, nil)
			if want := "sessions: this database has a column risk that this program does not know: take the newer program"; err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

// A table is what a newer program is more likely to have. What SQLite and those who copy
// its file keep there is not meant.
func TestExportLeavesNoTableBehind(t *testing.T) {
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			st := db.fresh(t)
			change := func(text string) {
				t.Helper()
				err := st.Fill(t.Context(), nil, func(tx *sql.Tx) error {
					_, err := tx.ExecContext(t.Context(), text)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			change(`CREATE TABLE _litestream_seq (id BIGINT PRIMARY KEY)`)
			file := exported(t, st)
			change(`CREATE TABLE passkeys (n BIGINT PRIMARY KEY)`)
			want := "this database has a table passkeys that this program does not know: take the newer program"
			if _, err := Export(t.Context(), st, io.Discard, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("export: got %v, want %s", err, want)
			}
			if _, err := Import(t.Context(), st, bytes.NewReader(file), nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("import: got %v, want %s", err, want)
			}
		})
	}
}

// What no client means to send is in no one's way.
func TestTextsOfBrokenBytesAreMoved(t *testing.T) {
	st, other := databases[0].fresh(t), databases[1].fresh(t)
	a := account(1)
	a.Nickname = "\xff\x00broken"
	if err := st.Apply(t.Context(), now, store.PutAccount{Account: a}); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(t.Context(), other, bytes.NewReader(exported(t, st)), nil); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Account(t.Context(), a.ID); err != nil || got.Nickname != "\uFFFD\uFFFDbroken" {
		t.Errorf("%q, %v", got.Nickname, err)
	}
}

func TestEndedContextEndsAnImport(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	st := databases[0].fresh(t)
	text := example(t, 100)
	half := io.MultiReader(bytes.NewReader(text[:len(text)/2]), readerFunc(func([]byte) (int, error) { cancel(); return 0, ctx.Err() }))
	if _, err := Import(ctx, st, half, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if empty := exported(t, st); strings.Contains(string(empty), "\n[") {
		t.Error("something was stored")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// What a database changes on the way in is found before it is kept.
func TestImportIsComparedWithItsFile(t *testing.T) {
	st := databases[0].fresh(t)
	err := st.Fill(t.Context(), nil, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `CREATE TRIGGER theirs AFTER INSERT ON events BEGIN
			UPDATE events SET detail = '' WHERE n = NEW.n AND n = 3; END`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Import(t.Context(), st, bytes.NewReader(example(t, 3)), nil)
	if err == nil || err.Error() != "what was stored reads back differently from the export" {
		t.Error(err)
	}
	if strings.Contains(string(exported(t, st)), "\n[") {
		t.Error("something was stored")
	}
}

// A node that starts on a database while it is filled must not put its keys among
// those that come.
func TestNobodyWritesBesideAnImport(t *testing.T) {
	text := postgrestest.URL(t)
	var stores []*store.Store
	for _, text := range []string{text, postgrestest.With(text, "lock_timeout", "100")} {
		address, err := postgres.ParseAddress(text)
		if err != nil {
			t.Fatal(err)
		}
		st, err := postgres.Open(t.Context(), address)
		stores = append(stores, opened(t, st, err))
	}
	half := example(t, 0) // where no row number is in the way
	late := readerFunc(func([]byte) (int, error) {
		key := store.Key{ID: "k", Use: "derive", Material: []byte{1}, Created: now}
		if err := stores[1].Apply(t.Context(), now, store.PutKey{Key: key}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a key beside the import: %v", err)
		}
		return 0, io.EOF
	})
	if _, err := Import(t.Context(), stores[0], io.MultiReader(bytes.NewReader(half), late), nil); err != nil {
		t.Fatal(err)
	}
	if after := exported(t, stores[1]); !bytes.Equal(half, after) {
		t.Errorf("%d bytes, want %d", len(after), len(half))
	}
}

// TestKeyOfANodeThatStartsTooSoonIsNotAmongThoseThatCome: it would sign at once, as the
// first of a new database does, when nobody who knows the others has seen it.
func TestKeyOfANodeThatStartsTooSoonIsNotAmongThoseThatCome(t *testing.T) {
	url := postgrestest.URL(t)
	var stores [2]*store.Store
	for i, url := range []string{url, postgrestest.With(postgrestest.With(url, "lock_timeout", "20000"), "statement_timeout", "20000")} {
		st, err := at(t.Context(), url)
		stores[i] = opened(t, st, err)
	}
	file, usage := example(t, 2), tables[0].sample(2)[2].(string)
	put := make(chan error, 1)
	late := readerFunc(func([]byte) (int, error) {
		go func() {
			key := store.Key{ID: "mine", Use: usage, Material: []byte{1}, Created: now, SignFrom: now}
			put <- stores[1].Apply(t.Context(), now, store.PutNextKey{Key: key})
		}()
		for postgrestest.Ask(t, url, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == "0" {
			continue // until it waits
		}
		return 0, io.EOF
	})
	if _, err := Import(t.Context(), stores[0], io.MultiReader(bytes.NewReader(file), late), nil); err != nil {
		t.Fatal(err)
	}
	if err := <-put; !errors.Is(err, store.ErrConflict) {
		t.Errorf("a key by somebody who knew none: %v", err)
	}
	if !bytes.Equal(exported(t, stores[0]), file) {
		t.Error("it is among them")
	}
}

// FuzzRow: what is taken for a row is written as a row that is the same.
func FuzzRow(f *testing.F) {
	for i := range tables {
		b, err := line(tables[i].sample(2))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), bytes.TrimSuffix(b, []byte("\n")))
	}
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		table := &tables[int(which)%len(tables)]
		r, err := table.parse(text)
		if err != nil {
			return
		}
		first, err := line(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := table.parse(bytes.TrimSuffix(first, []byte("\n")))
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		second, err := line(again)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%s became %s, %v", first, second, err)
		}
		if bytes.Contains(first[:len(first)-1], []byte("\n")) {
			t.Fatalf("two lines: %q", first)
		}
	})
}
