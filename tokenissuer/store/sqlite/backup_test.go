package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// opened opens the store at path until the test closes it.
func opened(t *testing.T, path string) *store.Store {
	t.Helper()
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func put(t *testing.T, st *store.Store, actions ...string) {
	t.Helper()
	for _, action := range actions {
		if err := st.Apply(t.Context(), now, store.PutEvent{Event: store.Event{At: now, Action: action}}); err != nil {
			t.Fatal(err)
		}
	}
}

func actions(t *testing.T, st *store.Store) (all []string) {
	t.Helper()
	events, err := st.Events(t.Context(), now, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		all = append(all, e.Action)
	}
	return all
}

// backedUp writes a backup of an open store to a file.
func backedUp(t *testing.T, path string) string {
	t.Helper()
	f, err := sqlite.BackUp(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "copy")
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = io.Copy(to, f)
	}
	if err := errors.Join(err, to.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return name
}

func names(t *testing.T, folder string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestBackUpIsOfOneMomentWhileOthersWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	st := opened(t, path)
	put(t, st, "before")
	stop, enough, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() { // every transaction writes two, so that half of one would be seen
		defer close(done)
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			at := store.PutEvent{Event: store.Event{At: now, Action: "beside"}}
			if err := st.Apply(t.Context(), now, at, at); err != nil {
				t.Error(err)
			}
			if n == 5 {
				close(enough)
			}
		}
	}()
	var copies []string
	for written := false; len(copies) < 5 || !written; {
		copies = append(copies, backedUp(t, path))
		select {
		case <-enough:
			written = true
		default:
		}
	}
	close(stop)
	<-done
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t, filepath.Dir(path)) {
		if strings.Contains(name, "backup") {
			t.Errorf("%s was left", name)
		}
	}
	for _, name := range copies {
		c, err := sqlite.Verify(t.Context(), name)
		if err != nil || c.Schema < 6 || c.Bytes == 0 {
			t.Errorf("%+v, %v", c, err)
		}
		back := opened(t, name)
		if got := actions(t, back); len(got)%2 != 1 {
			t.Errorf("%d events: half of a transaction", len(got))
		}
		if err := back.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRestoreKeepsWhatWasThere(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "issuer.db")
	st := opened(t, path)
	put(t, st, "early")
	backup := backedUp(t, path)
	put(t, st, "late")

	if _, err := sqlite.Restore(t.Context(), path, backup, now); err == nil || !strings.Contains(err.Error(), "store "+path+": is in use by another process") {
		t.Errorf("while it is open: %v", err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := sqlite.Restore(t.Context(), path, backup, now)
	if err != nil || r.Kept != path+".before-20261121T100000.000Z" || r.Store != path || r.Schema < 6 {
		t.Fatalf("%+v, %v", r, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for name, want := range map[string]string{path: "[early]", r.Kept: "[late early]"} {
		st := opened(t, name)
		if got := fmt.Sprint(actions(t, st)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRestoreWhereThereIsNoStore(t *testing.T) {
	folder := t.TempDir()
	st := opened(t, filepath.Join(folder, "issuer.db"))
	put(t, st, "early")
	backup := backedUp(t, filepath.Join(folder, "issuer.db"))
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "new", "deep", "issuer.db")
	if r, err := sqlite.Restore(t.Context(), path, backup, now); err != nil || r.Kept != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	st = opened(t, path)
	if got := fmt.Sprint(actions(t, st)); got != "[early]" {
		t.Error(got)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

// A process that was killed has left its log: what is in it belongs to the store
// that is kept.
func TestRestoreKeepsTheLogOfAKilledProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	st := opened(t, path)
	put(t, st, "early")
	backup := backedUp(t, path)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	killed := again(asHolder, path)
	in, err := killed.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := killed.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	_ = killed.Process.Kill()
	if _, ok := errors.AsType[*exec.ExitError](killed.Wait()); !ok {
		t.Fatal("it was not killed")
	}
	if _, err := os.Stat(path + "-wal"); err != nil {
		t.Fatal("it left no log: ", err)
	}
	r, err := sqlite.Restore(t.Context(), path, backup, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the log is still at the new store: %v", err)
	}
	if _, err := os.Stat(r.Kept + "-wal"); err != nil {
		t.Error(err)
	}
}

func TestRestoreRefusesABackupOfANewerProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	st := opened(t, path)
	backup := backedUp(t, path)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", backup)
	if err == nil {
		_, err = db.ExecContext(t.Context(), `INSERT INTO schema_versions (version_id, is_applied) VALUES (99, 1)`)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Restore(t.Context(), path, backup, now)
	if !errors.Is(err, store.ErrNewer) || !strings.HasPrefix(err.Error(), backup+": store is of a newer version: schema 99, this program knows up to ") {
		t.Error(err)
	}
}

func TestRestoreRefusesWhatIsNoBackup(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "issuer.db")
	st := opened(t, path)
	for range 200 {
		put(t, st, strings.Repeat("long", 100))
	}
	good, err := os.ReadFile(backedUp(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	middle := len(good) * 3 / 4
	damaged := bytes.Clone(good)
	copy(damaged[middle:], bytes.Repeat([]byte{0x55}, 4096))
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"text":    {[]byte(strings.Repeat("{\"format\":\"gatehouse-export\"}\n", 20)), "cannot be read: file is not a database"},
		"nothing": {nil, "is empty"},
		"cut":     {good[:middle/4096*4096], "malformed"},
		"damaged": {damaged, "damaged"},
	} {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := sqlite.Restore(t.Context(), path, file, now)
		if err == nil || !strings.HasPrefix(err.Error(), file+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := sqlite.Restore(t.Context(), path, filepath.Join(folder, "none"), now); err == nil || err.Error() != filepath.Join(folder, "none")+": no such file or directory" {
		t.Error(err)
	}
	if _, err := sqlite.Restore(t.Context(), path, path, now); err == nil || err.Error() != "store "+path+": is the backup itself" {
		t.Error(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the store was changed: %v", err)
	}
	for _, name := range names(t, folder) {
		if strings.HasPrefix(name, "issuer.db.") && name != "issuer.db.lock" {
			t.Errorf("%s was left", name)
		}
	}
}

// A restore that is killed leaves a store that nobody takes for a whole one, and
// does its work when it is run again.
func TestRestoreThatWasKilledIsRunAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	st := opened(t, path)
	put(t, st, "early")
	backup := backedUp(t, path)
	put(t, st, "late")
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	// What it leaves between giving the second name and taking the first.
	if err := os.Link(path, path+".before-20261121T095959.000Z"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".restore", []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "has 2 names (hard links)") {
		t.Errorf("a store with two names: %v", err)
	}
	if _, err := sqlite.Restore(t.Context(), path, backup, now); err != nil {
		t.Fatal(err)
	}
	st = opened(t, path)
	if got := fmt.Sprint(actions(t, st)); got != "[early]" {
		t.Error(got)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

func TestRootLeavesNothingThatTheServerCannotOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	st := opened(t, path)
	backup := backedUp(t, path)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return // whoever else it is, the kernel says so
	}
	if err := os.Chown(path, 54321, -1); err != nil {
		t.Fatal(err)
	}
	want := "store " + path + ": belongs to #54321, who could not open what root writes: run this with sudo -u #54321"
	if _, err := sqlite.Restore(t.Context(), path, backup, now); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := sqlite.BackUpStopped(t.Context(), path); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
