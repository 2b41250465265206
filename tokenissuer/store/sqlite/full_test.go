package sqlite_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// TestFullDiskIsAnOutageThatEnds runs in a process of its own, whose files the
// kernel does not let grow: a limit is for all of a process.
func TestFullDiskIsAnOutageThatEnds(t *testing.T) {
	out, err := again(asFullDisk, filepath.Join(t.TempDir(), "issuer.db")).Output()
	if err != nil || string(out) != "refused, kept reading, went on\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func fillDisk(path string) error {
	signal.Ignore(syscall.SIGXFSZ) // then the write fails, as on a full disk
	ctx := context.Background()
	st, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	hash := func(n int) store.Hash { return sha256.Sum256([]byte{byte(n >> 8), byte(n)}) }
	rotate := func(n int) error {
		return st.Apply(ctx, now,
			store.SpendRefresh{Hash: hash(n - 1)},
			store.PutRefresh{Refresh: store.Refresh{Hash: hash(n), Family: "f", N: n}},
			store.PutToken{Token: store.Token{ID: fmt.Sprint(n), Family: "f", Expires: now.Add(time.Minute)}})
	}
	err = st.Apply(ctx, now,
		store.PutAccount{Account: store.Account{ID: "ann", State: store.Active}},
		store.PutFamily{Family: store.Family{ID: "f", Account: "ann", Expires: now.Add(time.Hour)}},
		store.PutRefresh{Refresh: store.Refresh{Hash: hash(0), Family: "f"}})
	if err != nil {
		return err
	}

	log, err := os.Stat(path + "-wal")
	if err != nil {
		return err
	}
	n, err := 0, limitFiles(log.Size()+50_000)
	for err == nil && n < 1000 {
		n++
		err = rotate(n)
	}
	if n < 2 || !errors.Is(err, store.ErrUnavailable) {
		return fmt.Errorf("rotation %d on a full disk: %w", n, err)
	}
	for range 3 { // and again, as clients retry
		if err := rotate(n); !errors.Is(err, store.ErrUnavailable) {
			return fmt.Errorf("rotation %d on a disk that is still full: %w", n, err)
		}
	}
	if err := untouched(ctx, st, n, hash); err != nil {
		return err
	}

	if err := limitFiles(-1); err != nil {
		return err
	}
	if err := rotate(n); err != nil {
		return fmt.Errorf("rotation %d with space again: %w", n, err)
	}
	if err := st.Close(); err != nil {
		return err
	}
	if st, err = sqlite.Open(ctx, path); err != nil {
		return err
	}
	if _, err := st.Token(ctx, fmt.Sprint(n)); err != nil {
		return fmt.Errorf("after a restart: %w", err)
	}
	fmt.Println("refused, kept reading, went on")
	return st.Close()
}

// untouched checks that rotation n did not happen, not in part either.
func untouched(ctx context.Context, st *store.Store, n int, hash func(int) store.Hash) error {
	old, err := st.Refresh(ctx, hash(n-1))
	if err != nil || !old.Spent.IsZero() {
		return fmt.Errorf("the token that could not be rotated: %+v, %w", old, err)
	}
	if _, err := st.Refresh(ctx, hash(n)); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("a successor that was never answered: %w", err)
	}
	if _, err := st.Token(ctx, fmt.Sprint(n)); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("a token that was never answered: %w", err)
	}
	return nil
}

// limitFiles sets how large a file of this process may grow; -1 for no limit.
func limitFiles(size int64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	if size >= 0 {
		limit.Cur = uint64(size)
	}
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}
