package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// writeNew writes a file for its user alone, which has its name when it is whole
// and on the disk. What is there already stays, unless force is said. What a run
// that was killed has left of the same file goes.
func writeNew(name string, force bool, write func(*os.File) error) (err error) {
	if err := free(name, force); err != nil {
		return err
	}
	removeLeft(name)
	f, err := newPartial(name)
	if err != nil {
		return err
	}
	// It is held until it has its name: nobody takes it for what was left.
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // unless it has its name
		}
		if closed := f.Close(); !errors.Is(closed, os.ErrClosed) {
			err = errors.Join(err, closed)
		}
	}()
	if err := errors.Join(write(f), f.Sync(), free(name, force)); err != nil {
		return err
	}
	if !holds {
		if err := f.Close(); err != nil { // what is open has no new name there
			return err
		}
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// free says whether a file may have its name: nobody has it or, with force, another file.
// A folder, a link or a device is nothing that a file takes the place of.
func free(name string, force bool) error {
	switch info, err := os.Lstat(name); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err // such as a name that is too long
	case info.IsDir():
		return fmt.Errorf("%s is a folder: name a file in it", name)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is there already and not a regular file: name another one", name)
	case !force:
		return fmt.Errorf("%s is there already: name another file, or replace it with --force", name)
	}
	return nil
}

// mostTurns is how often another run can be faster.
const mostTurns = 20

// longestPart leaves room for what stands around a name in those of its partial files:
// names may have 255 bytes, and 143 where they are encrypted.
const longestPart = 100

// partials is how the names begin that a file has while it is written. No two files' begin
// alike: a name that is too long has its hash in the place of its end.
func partials(name string) string {
	base := filepath.Base(name)
	if len(base) > longestPart {
		sum := sha256.Sum256([]byte(base))
		hash := "~" + hex.EncodeToString(sum[:8])
		base = strings.ToValidUTF8(base[:longestPart-len(hash)], "") + hash
	}
	return "." + base + ".partial-"
}

// newPartial makes one that is held until it is closed, however its process ends. Where
// the file system holds nothing it is made all the same, and left when it is.
func newPartial(name string) (*os.File, error) {
	for turn := 0; ; turn++ {
		f, err := os.CreateTemp(filepath.Dir(name), partials(name)+"*") // 0600
		if err != nil {
			return nil, err
		}
		if held, err := hold(f); err != nil || held && inPlace(f) || turn == mostTurns {
			return f, nil
		}
		_ = f.Close() // another run was faster than our hold, and removes it
	}
}

// removeLeft removes what nobody holds. What it may not remove stays: the copy that was
// asked for matters more.
func removeLeft(name string) {
	if !holds {
		return
	}
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil {
		return // whoever makes the file says so
	}
	for _, e := range entries {
		end, ours := strings.CutPrefix(e.Name(), partials(name))
		if !ours || strings.Trim(end, "0123456789") != "" || !e.Type().IsRegular() {
			continue
		}
		f, err := os.OpenFile(filepath.Join(filepath.Dir(name), e.Name()), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		// While it is held nobody else removes it, so the name is still that file's.
		if held, err := hold(f); held && err == nil && inPlace(f) {
			_ = os.Remove(f.Name())
		}
		_ = f.Close()
	}
}

// inPlace says that an open file still has its name.
func inPlace(f *os.File) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(open, named)
}
