//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package caddymodule

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// files are the names in a folder.
func files(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// What a run that was killed has left is as good as the copy itself. The next one of the
// same file takes it away, and nothing that another is writing, that is of another file or
// that was never ours.
func TestNextCopyRemovesWhatAKilledOneLeft(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "copy")
	stay := []string{".copy.partial-7x", ".copy.swp", ".other.partial-1", "copy.partial-1"}
	for _, left := range append(stay, ".copy.partial-1", ".copy.partial-22") {
		if err := os.WriteFile(filepath.Join(folder, left), []byte("keys"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("copy.partial-1", filepath.Join(folder, ".copy.partial-3")); err != nil {
		t.Fatal(err)
	}
	stay = append(stay, ".copy.partial-3")
	var under []string // what is there while both write
	err := writeNew(name, false, func(f *os.File) error {
		stay = append(stay, filepath.Base(f.Name()))
		_, err := f.WriteString("the first")
		err = errors.Join(err, writeNew(name, false, func(f *os.File) error {
			stay = append(stay, filepath.Base(f.Name()))
			under = files(t, folder)
			stay = stay[:len(stay)-1]
			return errors.New("broken off")
		}))
		if err == nil || err.Error() != "broken off" {
			t.Error(err)
		}
		if got := files(t, folder); !slices.Equal(got, sorted(stay)) {
			t.Errorf("beside the first: %q, want %q", got, sorted(stay))
		}
		stay = stay[:len(stay)-1]
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(under) != len(stay)+2 {
		t.Errorf("while two write: %q", under)
	}
	if got, want := files(t, folder), sorted(append(stay, "copy")); !slices.Equal(got, want) {
		t.Errorf("left: %q, want %q", got, want)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "the first" {
		t.Errorf("%q, %v", text, err)
	}
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

// However many write the same file at once, each that succeeds has written all of it, and
// nothing is left.
func TestCopiesAtOnceTakeNothingFromEachOther(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "copy")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				err := writeNew(name, true, func(f *os.File) error {
					_, err := f.WriteString("all of it")
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if got := files(t, folder); !slices.Equal(got, []string{"copy"}) {
		t.Errorf("left: %q", got)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "all of it" {
		t.Errorf("%q, %v", text, err)
	}
}
