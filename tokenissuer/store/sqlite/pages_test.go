package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func TestFamilyIsNotLostUnderItsTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	at(t, path, current(), current().target())
	write, read, err := pools(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(read.Close(), write.Close()) }()
	if _, err := write.Exec(`DELETE FROM families WHERE n = 1`); err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
		t.Errorf("a family was deleted under its tokens: %v", err)
	}
	if _, err := read.Exec(`DELETE FROM events`); err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("a connection for look-ups deletes: %v", err)
	}
}

// TestCommitIsOnTheDisk looks at the settings: that a power cut loses nothing
// cannot be shown by killing a process.
func TestCommitIsOnTheDisk(t *testing.T) {
	write, read, err := pools(filepath.Join(t.TempDir(), "issuer.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(read.Close(), write.Close()) }()
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000", "foreign_keys": "1", "secure_delete": "2",
	} {
		var got string
		if err := write.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", pragma, got, err, want)
		}
	}
}

func TestSealedKeyIsNotInTheFileInPlain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	st, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.Repeat("plain", 50)
	err = st.Apply(t.Context(), now,
		store.PutKey{Key: store.Key{ID: "before", Material: []byte("x")}},
		store.PutKey{Key: store.Key{ID: "k", Material: []byte(plain)}},
		store.PutKey{Key: store.Key{ID: "after", Material: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Apply(t.Context(), now, store.SealKey{ID: "k", Material: []byte(strings.Repeat("sealed", 60))}); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range folder(t, filepath.Dir(path)) {
		if strings.Contains(content, "plainplain") {
			t.Errorf("%s holds the key in plain", name)
		}
	}
}

// TestFullDatabaseIsAnOutageThatEnds is what SQLite makes of ENOSPC: it rolls
// the transaction back by itself.
func TestFullDatabaseIsAnOutageThatEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	first, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	write, read, err := pools(path)
	if err != nil {
		t.Fatal(err)
	}
	st := store.New(write, read, taken)
	defer func() { _ = st.Close() }()
	limit := func(pages int) {
		t.Helper()
		if _, err := write.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	put := func(id string) error {
		return st.Apply(t.Context(), now,
			store.PutAccount{Account: store.Account{ID: id, State: store.Active}},
			store.PutEvent{Event: store.Event{Detail: strings.Repeat("x", 100_000)}},
			store.PutClient{Client: store.Client{ID: id, Record: []byte("{}")}})
	}
	limit(100)
	n := 0
	for err == nil && n < 100 {
		n++
		err = put(fmt.Sprint(n))
	}
	if n < 2 || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "full") {
		t.Fatalf("write %d: %v, want ErrUnavailable for a full database", n, err)
	}
	if _, err := st.Account(t.Context(), fmt.Sprint(n)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("half of a write that was refused: %v", err)
	}
	if _, err := st.Account(t.Context(), fmt.Sprint(n-1)); err != nil {
		t.Errorf("the write before: %v", err)
	}
	limit(100_000)
	if err := put(fmt.Sprint(n)); err != nil {
		t.Errorf("with space again: %v", err)
	}
}
