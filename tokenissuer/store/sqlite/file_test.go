package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

func mustOpen(t *testing.T, path string) *store.Store {
	t.Helper()
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// files reads a folder: what is in it, to the byte.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		contents[e.Name()] = string(b)
	}
	return contents
}

func wantModes(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 4 {
		t.Errorf("%d files, want the database, its log, its index and its lock", len(entries))
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", e.Name(), info.Mode())
		}
	}
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077, 0o477} {
		dir := t.TempDir()
		before := syscall.Umask(umask)
		st, err := sqlite.Open(t.Context(), filepath.Join(dir, "issuer.db"))
		if err == nil {
			err = st.Apply(t.Context(), now, store.PutEvent{})
		}
		syscall.Umask(before)
		if err != nil {
			t.Fatalf("umask %#o: %v", umask, err)
		}
		wantModes(t, dir)
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFileThatOthersCanReadIsTightened(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "issuer.db")
	if err := mustOpen(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	st := mustOpen(t, path)
	if err := st.Apply(t.Context(), now, store.PutEvent{}); err != nil {
		t.Fatal(err)
	}
	wantModes(t, dir)
}

func TestFolderIsMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "token_issuer", "data")
	path := filepath.Join(dir, "issuer.db")
	if err := sqlite.Check(t.Context(), path); err != nil {
		t.Errorf("Check: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !os.IsNotExist(err) {
		t.Errorf("Check made a folder: %v", err)
	}
	mustOpen(t, path)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v", info.Mode())
	}
}

func TestPathIsTakenLiterally(t *testing.T) {
	dir := t.TempDir()
	name := "a b?mode=memory&c#d%41:e.db"
	mustOpen(t, filepath.Join(dir, name))
	if _, ok := files(t, dir)[name]; !ok {
		t.Errorf("made %v, want %q", files(t, dir), name)
	}
}

func TestUnusablePathIsOneClearError(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other := filepath.Join(dir, "other.db")
	db, err := sql.Open("sqlite", other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE bookmarks (url TEXT)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	for _, c := range []struct{ path, want string }{
		{filepath.Join(write("file", "x"), "issuer.db"), "not a directory"},
		{dir, "is not a regular file"},
		{"/proc/gatehouse/issuer.db", "no such file or directory"},
		{write("notes.txt", strings.Repeat("not a database, ", 100)), "file is not a database"},
		{other, "is a SQLite database of another program"},
	} {
		_, err := sqlite.Open(t.Context(), c.path)
		checkOne(t, "Open", err, c.path, c.want)
		if c.path == "/proc/gatehouse/issuer.db" {
			continue // root may write in /proc, says access(2)
		}
		checkOne(t, "Check", sqlite.Check(t.Context(), c.path), c.path, c.want)
	}
	after := files(t, dir)
	for name, content := range before {
		if after[name] != content {
			t.Errorf("%s was changed", name)
		}
	}
}

func checkOne(t *testing.T, doing string, err error, path, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s(%s) succeeded", doing, path)
		return
	}
	text := err.Error()
	if !strings.HasPrefix(text, "store "+path+": ") || !strings.Contains(text, want) || strings.Contains(text, "\n") {
		t.Errorf("%s(%s): %q, want one line that names the path and says %q", doing, path, text, want)
	}
}
