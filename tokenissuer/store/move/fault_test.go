package move

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// asImport names the store that this program is to import its input into.
const asImport = "MOVE_TEST_IMPORT"

func importInput(where string) error {
	st, err := at(context.Background(), where)
	if err != nil {
		return err
	}
	_, err = Import(context.Background(), st, os.Stdin, nil)
	return errors.Join(err, st.Close())
}

// at opens a file, or a database by its URL.
func at(ctx context.Context, where string) (*store.Store, error) {
	if !strings.Contains(where, "://") {
		return sqlite.Open(ctx, where)
	}
	address, err := postgres.ParseAddress(where)
	if err != nil {
		return nil, err
	}
	return postgres.Open(ctx, address)
}

// TestKilledImportLeavesNothing, and the same import works then.
func TestKilledImportLeavesNothing(t *testing.T) {
	file := example(t, 400)
	for name, where := range map[string]string{"SQLite": filepath.Join(t.TempDir(), "issuer.db"), "PostgreSQL": postgrestest.URL(t)} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), asImport+"="+where)
			cmd.Stderr = os.Stderr
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			// What does not fit into a pipe and a buffer has been stored when this returns.
			if _, err := in.Write(file[:len(file)-100]); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
				t.Fatalf("it was not killed: %v", cmd.ProcessState)
			}
			st, err := at(t.Context(), where)
			st = opened(t, st, err)
			if after := exported(t, st); bytes.Contains(after, []byte("\n[")) {
				t.Fatal("something was stored")
			}
			if _, err := Import(t.Context(), st, bytes.NewReader(file), nil); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(exported(t, st), file) {
				t.Error("the second import made something else")
			}
		})
	}
}

// TestOneOfTwoImportsIsKept, whole: operators, too, do things twice.
func TestOneOfTwoImportsIsKept(t *testing.T) {
	one, other := example(t, 300), example(t, 200)
	for _, db := range []string{"SQLite", "PostgreSQL"} {
		t.Run(db, func(t *testing.T) {
			stores := []*store.Store{databases[0].fresh(t)}
			stores = append(stores, stores[0]) // another process finds the file locked
			if db == "PostgreSQL" {
				url := postgrestest.URL(t)
				for i := range stores {
					st, err := at(t.Context(), url)
					stores[i] = opened(t, st, err)
				}
			}
			var both sync.WaitGroup
			var errs [2]error
			for i, file := range [][]byte{one, other} {
				both.Go(func() { _, errs[i] = Import(t.Context(), stores[i], bytes.NewReader(file), nil) })
			}
			both.Wait()
			kept := one
			if errs[0] != nil {
				kept = other
				errs[0], errs[1] = errs[1], errs[0]
			}
			if errs[0] != nil || !errors.Is(errs[1], ErrNotEmpty) && !errors.Is(errs[1], store.ErrHeld) {
				t.Errorf("%v, and %v", errs[0], errs[1])
			}
			if !bytes.Equal(exported(t, stores[0]), kept) {
				t.Error("the store has something of the other one")
			}
		})
	}
}

// TestImportIntoAFullDiskLeavesNothing, and goes on when there is room.
func TestImportIntoAFullDiskLeavesNothing(t *testing.T) {
	st, file := databases[0].fresh(t), example(t, 400)
	room := func(pages string) {
		t.Helper()
		err := st.Fill(t.Context(), nil, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), "PRAGMA max_page_count = "+pages)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	room("200")
	_, err := Import(t.Context(), st, bytes.NewReader(file), nil)
	if err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("imported into a full disk: %v", err)
	}
	if after := exported(t, st); bytes.Contains(after, []byte("\n[")) {
		t.Error("something was stored")
	}
	room("1000000")
	if _, err := Import(t.Context(), st, bytes.NewReader(file), nil); err != nil {
		t.Error(err)
	}
}
