package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// lock holds a store for one process at a time: a second one would not hear of
// the first one's revocations. It is a file of its own, never removed, because
// to open and close the database itself drops the locks that SQLite holds on
// it, and to remove a lock file lets two processes hold two of one name.
type lock struct{ file *os.File }

const (
	// patience is for a process, or a configuration of this one, that is just
	// ending.
	patience = 3 * time.Second
	askAgain = 20 * time.Millisecond
)

var errInUse = errors.New("is in use by another process, whose revocations this one would not hear of; end it first")

func acquire(ctx context.Context, path string) (*lock, error) {
	path, err := filepath.EvalSymlinks(path) // all its names have one lock
	if err != nil {
		return nil, err
	}
	return acquireNamed(ctx, path)
}

// acquireNamed takes the lock of a store by its real path, at which nothing may be
// yet.
func acquireNamed(ctx context.Context, path string) (*lock, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	if err := hold(ctx, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &lock{f}, nil
}

func hold(ctx context.Context, f *os.File) error {
	if err := f.Chmod(mode); err != nil { // whatever the umask
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errInUse)
	defer cancel()
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		if held, err := tryLock(f); held || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Close gives the store to the next process. A second Close does nothing.
func (l *lock) Close() error {
	if err := l.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
