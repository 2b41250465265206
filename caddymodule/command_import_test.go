package caddymodule

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

const sealingKey = "9f4c1d7e2b8a6053f1e4d2c3b5a69788"

// sealedCopies are an export and a backup of a store whose keys are sealed.
func sealedCopies(t *testing.T) (w *world, moving, copied string) {
	t.Helper()
	w = newWorld(t)
	w.load(strings.Replace(oneIssuer, "signing_algorithm", "key_encryption_key "+sealingKey+"\n\t\tsigning_algorithm", 1), oneSite)
	w.must("", []string{"user", "add", "alice"})
	folder := t.TempDir()
	moving, copied = filepath.Join(folder, "moving"), filepath.Join(folder, "copied")
	w.must("", []string{"export", moving})
	w.must("", []string{"backup", copied})
	return w, moving, copied
}

// freshStore is a Caddyfile with a store that is not there yet, and more lines.
func freshStore(t *testing.T, lines ...string) string {
	t.Helper()
	return storeAt(t, strings.Join(append([]string{"sqlite " + filepath.Join(t.TempDir(), "issuer.db")}, lines...), "\n\t\t"))
}

// Keys that the new configuration cannot open would let no server start, on a store that
// takes no other import any more.
func TestImportTakesNoKeysThatNobodyCanOpen(t *testing.T) {
	w, moving, _ := sealedCopies(t)
	address := postgrestest.URL(t)
	t.Setenv("DATABASE_OF_TEST", address)
	for name, store := range map[string]string{
		"SQLite":     "sqlite " + filepath.Join(t.TempDir(), "issuer.db"),
		"PostgreSQL": "postgres {env.DATABASE_OF_TEST}",
	} {
		t.Run(name, func(t *testing.T) {
			under := &world{T: t, dir: w.dir}
			without := storeAt(t, store)
			under.fails([]string{"import", moving, "--config", without},
				moving+": its keys are sealed: set the key_encryption_key of the server that they are from, at "+without+":2")
			other := storeAt(t, store+"\n\t\tkey_encryption_key 0123456789abcdef0123456789abcdef")
			under.fails([]string{"import", moving, "--config", other},
				moving+": its keys are sealed, and this key_encryption_key does not open them: set the one of the server that they are from, at "+other+":5")
			// Nothing of it is there: the right one takes it.
			under.must("", []string{"import", moving, "--config", storeAt(t, store+"\n\t\tkey_encryption_key "+sealingKey)}, "accounts          1")
		})
	}
}

func TestBackupAndExportAreNotTakenForEachOther(t *testing.T) {
	w, moving, copied := sealedCopies(t)
	of := freshStore(t)
	w.fails([]string{"import", copied, "--config", of}, copied+" is a SQLite file, as a backup is, and no export: put it in the place of a SQLite store with: issuer restore")
	w.fails([]string{"restore", moving, "--config", of}, moving+" is an export and no backup: store it in a database that has no records yet with: issuer import")
	if entries, err := os.ReadDir(filepath.Dir(moving)); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

// Two operators, or one and a node that is started too soon.
func TestImportBesideAnotherSaysSo(t *testing.T) {
	w, moving, _ := sealedCopies(t)
	address := postgrestest.URL(t)
	t.Setenv("DATABASE_OF_TEST", postgrestest.With(address, "lock_timeout", "50"))
	of := storeAt(t, "postgres {env.DATABASE_OF_TEST}\n\t\tkey_encryption_key "+sealingKey)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.fails([]string{"import", empty, "--config", of}, empty+": is not a whole export: it is empty") // and has made the tables
	other, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.Background()) }()
	if _, err := other.Exec(t.Context(), `BEGIN; SELECT floor FROM schema_floor FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	_, err = w.command("", "import", moving, "--config", of)
	if err == nil || !strings.HasPrefix(err.Error(), "store postgres://") || !strings.Contains(err.Error(), ": is held by another import, a server that is starting or an open transaction: let that end, and try again: ") {
		t.Errorf("beside another: %v", err)
	}
	if _, err := other.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	w.must("", []string{"import", moving, "--config", of}, "accounts          1")
	if _, err = w.command("", "import", moving, "--config", of); err == nil || !strings.HasPrefix(err.Error(), "store postgres://") {
		t.Errorf("into what has it: %v", err)
	}
}

// idle is a pipe that brings a beginning and then nothing, at which somebody presses Ctrl-C.
type idle struct {
	begin io.Reader
	over  <-chan struct{}
}

func (i idle) Read(b []byte) (int, error) {
	if n, err := i.begin.Read(b); n > 0 || err != io.EOF {
		return n, err
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Signal(os.Interrupt)
	}
	<-i.over
	return 0, io.ErrUnexpectedEOF
}

func TestImportFromAPipeThatBringsNothingEndsAtCtrlC(t *testing.T) {
	w, moving, _ := sealedCopies(t)
	text, err := os.ReadFile(moving)
	if err != nil {
		t.Fatal(err)
	}
	of := freshStore(t, "key_encryption_key "+sealingKey)
	for name, begin := range map[string]string{"nothing at all": "", "half of it": string(text[:len(text)/2])} {
		root := &cobra.Command{Use: "issuer", SilenceErrors: true}
		addCommands(root)
		over := make(chan struct{})
		root.SetIn(idle{strings.NewReader(begin), over})
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		root.SetArgs([]string{"import", "-", "--config", of})
		done := make(chan error, 1)
		go func() { done <- root.Execute() }()
		select {
		case err := <-done:
			if err == nil || err.Error() != "interrupt signal received" {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(far):
			t.Errorf("%s: it goes on", name)
		}
		close(over)
	}
	// What had come is gone, and so is whoever held the store.
	w.must(string(text), []string{"import", "-", "--config", of}, "accounts          1")
}

func TestImportOfWhatCannotBeRead(t *testing.T) {
	w := &world{T: t, dir: t.TempDir()}
	of := freshStore(t)
	w.fails([]string{"import", filepath.Join(w.dir, "none"), "--config", of}, filepath.Join(w.dir, "none")+": no such file or directory")
	w.fails([]string{"import", "-", "--config", of}, "standard input: is not a whole export: it is empty")
	w.fails([]string{"import", w.dir, "--config", of}, w.dir+": reading behind line 0: ")
}
