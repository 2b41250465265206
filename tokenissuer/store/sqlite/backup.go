package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Copy is what is known of a copy of a store.
type Copy struct {
	Schema   int64 `json:"schema"`
	Bytes    int64 `json:"bytes"`
	Accounts int64 `json:"accounts"`
	Keys     int64 `json:"keys"`
	Sealed   int64 `json:"sealed"` // keys that need the key_encryption_key
}

// beside names a file in the store's folder that nobody else means. Names that
// begin alike are leftovers of a process that was killed.
func beside(path, what string) string { return path + "." + what }

// BackUp writes the store at path, as it is at one moment, to a file of its own and
// returns it, opened and without a name: it is gone when it is closed. Reading and
// writing go on meanwhile. The process that has the store open calls it, one at a
// time.
func BackUp(ctx context.Context, path string) (*os.File, error) {
	return copied(ctx, path, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}})
}

// BackUpStopped is BackUp of a store that no process has open. Its schema stays as
// it is.
func BackUpStopped(ctx context.Context, path string) (*os.File, error) {
	fail := func(err error) (*os.File, error) { return nil, fmt.Errorf("store %s: %w", path, err) }
	if _, err := os.Stat(path); err != nil {
		return fail(errors.Unwrap(err))
	}
	if err := owned(path); err != nil {
		return fail(err)
	}
	lock, err := acquire(ctx, path)
	if err != nil {
		return fail(err)
	}
	f, err := copied(ctx, path, untouched(path))
	return f, errors.Join(err, lock.Close())
}

func copied(ctx context.Context, path string, query url.Values) (*os.File, error) {
	into := beside(path, "backup")
	err := remove(into)
	if err == nil {
		err = vacuum(ctx, path, query, into)
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: copying: %w", path, errors.Join(err, remove(into)))
	}
	f, err := os.Open(into)
	return f, errors.Join(err, os.Remove(into))
}

// remove takes away what a killed process left.
func remove(path string) error {
	for _, name := range []string{path, path + "-journal", path + "-wal", path + "-shm"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// vacuum writes what a database holds to a new file that is its user's alone.
func vacuum(ctx context.Context, from string, query url.Values, into string) error {
	f, err := os.OpenFile(into, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(mode), f.Close()); err != nil {
		return err
	}
	db, err := connect(from, query, 1)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, `VACUUM INTO $1`, into)
	return err
}

// Verify looks at a copy that nobody has open: that it is a store this program
// knows, and that SQLite finds every page and index of it as it should be.
func Verify(ctx context.Context, path string) (Copy, error) {
	c, err := verify(ctx, path, current())
	if err != nil {
		return Copy{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func verify(ctx context.Context, path string, s schema) (c Copy, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return c, errors.Unwrap(err) // the caller names the path
	}
	if !info.Mode().IsRegular() {
		return c, errors.New("is not a regular file")
	}
	if c.Bytes = info.Size(); c.Bytes == 0 {
		return c, errors.New("is empty")
	}
	if c.Schema, err = s.peek(ctx, path); err != nil {
		return c, err
	}
	if c.Schema == 0 {
		return c, errors.New("is a SQLite database without a store")
	}
	db, err := connect(path, untouched(path), 1)
	if err != nil {
		return c, err
	}
	defer func() { _ = db.Close() }()
	var found string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&found); err != nil {
		return c, fmt.Errorf("cannot be read: %w", err)
	}
	if found != "ok" {
		return c, fmt.Errorf("is damaged: %s", found)
	}
	err = db.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM accounts), (SELECT COUNT(*) FROM keys),
		(SELECT COUNT(*) FROM keys WHERE sealed <> 0)`).Scan(&c.Accounts, &c.Keys, &c.Sealed)
	return c, err
}

// Restored says what a restore did.
type Restored struct {
	Copy
	Store string `json:"store"` // its real path
	Kept  string `json:"kept"`  // where the store before is, "" where there was none
}

// Restore puts the backup from in the place of the store at path, and keeps the
// store that was there under another name. No process may have the store open; one
// that starts meanwhile waits. Whenever it is killed, the store is the one or the
// other, or is refused: never neither.
func Restore(ctx context.Context, path, from string, now time.Time) (Restored, error) {
	r, err := restore(ctx, path, from, now)
	if err != nil {
		return Restored{}, err
	}
	return r, nil
}

func restore(ctx context.Context, path, from string, now time.Time) (r Restored, err error) {
	if r.Copy, err = Verify(ctx, from); err != nil {
		return r, err
	}
	fail := func(err error) (Restored, error) { return r, fmt.Errorf("store %s: %w", path, err) }
	if r.Store, err = settled(path); err != nil {
		return fail(err)
	}
	if err := owned(r.Store); err != nil {
		return fail(err)
	}
	if same(r.Store, from) {
		return fail(errors.New("is the backup itself"))
	}
	lock, err := acquireNamed(ctx, r.Store)
	if err != nil {
		return fail(err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()

	fresh := beside(r.Store, "restore")
	if err := remove(fresh); err != nil {
		return fail(err)
	}
	if err := vacuum(ctx, from, untouched(from), fresh); err != nil {
		return fail(errors.Join(fmt.Errorf("copying: %w", err), remove(fresh)))
	}
	if err := synced(fresh); err != nil {
		return fail(errors.Join(err, remove(fresh)))
	}
	if r.Kept, err = aside(r.Store, now); err != nil {
		return fail(errors.Join(fmt.Errorf("keeping the store that is there: %w", err), remove(fresh)))
	}
	if err := os.Rename(fresh, r.Store); err != nil {
		return fail(err)
	}
	if err := synced(filepath.Dir(r.Store)); err != nil {
		return fail(err)
	}
	return r, nil
}

// settled is the real path of a store that may not be there yet; its folder is made.
func settled(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(folder, filepath.Base(path)), err
}

// owned refuses root's help with the store of a server that runs as somebody else:
// it could not open what root leaves there.
func owned(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil // none is there
	}
	if who := otherOwner(info); who != "" {
		return fmt.Errorf("belongs to %s, who could not open what root writes: run this with sudo -u %s", who, who)
	}
	return nil
}

func same(a, b string) bool {
	x, errA := os.Stat(a)
	y, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(x, y)
}

// aside gives the store a second name, and its log that name alone. Until the first
// name is the backup's, the store has two, which Open refuses: without its log it
// would lack what was written last.
func aside(path string, now time.Time) (kept string, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	kept = path + ".before-" + now.UTC().Format("20060102T150405.000Z")
	if err := os.Link(path, kept); err != nil {
		return "", err
	}
	for _, end := range []string{"-wal", "-shm"} {
		if err := os.Rename(path+end, kept+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return kept, nil
}

// synced has a file or folder on the disk.
func synced(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
