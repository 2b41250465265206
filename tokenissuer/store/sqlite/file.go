package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// mode lets the issuer's own user alone at its keys and accounts.
const mode = 0o600

// create makes the file before SQLite would: then its mode, which the -wal and
// -shm files inherit, is ours whatever the umask. An existing file is never
// opened here, because closing it would drop the locks that this process holds
// on it (sqlite.org/howtocorrupt.html, section 2.2).
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil // another start was first
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(mode), f.Close())
}

// tighten takes a file from others' eyes that a copy or a backup brought back
// with a wider mode, with what a crash may have left beside it.
func tighten(path string) error {
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 == 0 {
			continue
		}
		if err := os.Chmod(name, mode); err != nil {
			return fmt.Errorf("mode %#o lets others read it: %w", info.Mode().Perm(), err)
		}
	}
	return nil
}

// writable says whether a store at path can be written or, where there is
// none, whether one can be made, going by the nearest folder there is.
func writable(path string) error {
	for name := path; ; name = filepath.Dir(name) {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) && name != filepath.Dir(name) {
			continue
		}
		if err != nil {
			return err
		}
		if name != path && !info.IsDir() {
			return fmt.Errorf("%s is not a folder", name)
		}
		if err := access(name); err != nil {
			return fmt.Errorf("%s cannot be written: %w", name, err)
		}
		return nil
	}
}
