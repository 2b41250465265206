package sqlite_test

import (
	"bufio"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// A hard link has another log and another lock than the file it leads to.
func TestStoreHasOneName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	other := filepath.Join(filepath.Dir(path), "other.db")
	if err := os.Link(path, other); err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Open(t.Context(), other)
	checkOne(t, "Open", err, other, "has 2 names (hard links)")
	checkOne(t, "Check", sqlite.Check(t.Context(), other), other, "has 2 names (hard links)")
}

// TestStoreIsOpenInOneProcess: the second would go on accepting what the first
// has revoked.
func TestStoreIsOpenInOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	other := filepath.Join(t.TempDir(), "other-name.db")
	if err := os.Symlink(path, other); err != nil {
		t.Fatal(err)
	}
	child := again(asHolder, path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("the other process did not open the store")
	}
	var wg sync.WaitGroup
	for _, name := range []string{path, other} {
		wg.Go(func() {
			_, err := sqlite.Open(t.Context(), name)
			checkOne(t, "Open", err, name, "is in use by another process")
			if err := sqlite.Check(t.Context(), name); err != nil {
				t.Errorf("Check of a store in use: %v", err)
			}
		})
	}
	wg.Wait()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// At once, as a supervisor restarts it, not after Wait.
	mustOpen(t, path)
	_ = child.Wait()
}

func TestStoreThatIsClosingIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	first := mustOpen(t, path)
	opened := make(chan error, 1)
	go func() {
		second, err := sqlite.Open(t.Context(), path)
		if err == nil {
			err = second.Close()
		}
		opened <- err
	}()
	if err := first.Apply(t.Context(), now, store.PutEvent{}); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}
