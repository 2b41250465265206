package storetest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Rotate is the life of the process that Crash kills: it rotates one refresh
// token, and after each Apply tells its number. It returns when an Apply fails.
func Rotate(ctx context.Context, st *store.Store, told io.Writer) error {
	n, err := head(ctx, st)
	for err == nil {
		n++
		if err = st.Apply(ctx, now, rotation(n)...); err == nil {
			_, err = fmt.Fprintln(told, n)
		}
	}
	return err
}

// rotation makes refresh token n out of n-1, with all that a real one writes
// and a revocation.
func rotation(n int) []store.Write {
	return []store.Write{
		store.SpendRefresh{Hash: hash("f", n-1)},
		putRefresh("f", n),
		putToken(fmt.Sprint("t", n), "f", now.Add(time.Hour)),
		store.RevokeToken{ID: fmt.Sprint("t", n-1), Expires: now.Add(time.Hour)},
		store.PutEvent{Event: store.Event{At: now, Action: "rotation", Subject: strconv.Itoa(n)}},
	}
}

// head finds the last refresh token of the chain.
func head(ctx context.Context, st *store.Store) (int, error) {
	for n := 0; ; n++ {
		r, err := st.Refresh(ctx, hash("f", n))
		if err != nil {
			return 0, fmt.Errorf("refresh token %d: %w", n, err)
		}
		if r.Spent.IsZero() {
			return n, nil
		}
	}
}

// Crash kills a process in the middle of its work, again and again. What the
// process told of is there; of what it was doing all is there or nothing.
// child makes the command of a process that opens the database and calls
// Rotate with its standard output.
func Crash(t *testing.T, rounds int, open Open, child func() *exec.Cmd) {
	f := &fixture{T: t, open: open, Store: opened(t, open)}
	f.ann("f")
	f.apply(now, putToken("t0", "f", now.Add(time.Hour)))
	checked := 0
	for round := range rounds {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		told := f.kill(child())
		f.Store = opened(t, open)
		got, err := head(t.Context(), f.Store)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if told > 0 && (got < told || got > told+1) {
			t.Fatalf("round %d: told of %d, there are %d", round, told, got)
		}
		for ; checked <= got; checked++ {
			f.whole(checked, checked == got)
		}
		f.none(got + 1)
	}
	if checked < rounds {
		t.Fatalf("%d rotations in %d rounds: the processes did not work", checked-1, rounds)
	}
}

// kill lets a process tell of a few rotations, kills it at some instant of a
// later one and returns the last it told of.
func (f *fixture) kill(child *exec.Cmd) (told int) {
	f.Helper()
	out, err := child.StdoutPipe()
	if err != nil {
		f.Fatal(err)
	}
	if err := child.Start(); err != nil {
		f.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	patience := 1 + rand.IntN(20)
	for heard := 1; lines.Scan(); heard++ {
		if told, err = strconv.Atoi(lines.Text()); err != nil {
			f.Fatal(err)
		}
		if heard == patience {
			spend(rand.IntN(2000))
			if err := child.Process.Kill(); err != nil {
				f.Fatal(err)
			}
		}
	}
	if state := child.Wait(); state == nil || child.ProcessState.Exited() {
		f.Fatalf("the process ended by itself after %d: %v", told, state)
	}
	return told
}

// spend some hundred microseconds at most: the rotation that the process is at
// takes as long, and each of its instants should have its turn.
func spend(hashes int) {
	var sum [32]byte
	for range hashes {
		sum = sha256.Sum256(sum[:])
	}
}

// whole checks that rotation n is there with all its parts.
func (f *fixture) whole(n int, last bool) {
	f.Helper()
	refresh := must(f.Refresh(f.Context(), hash("f", n)))(f)
	if refresh.Spent.IsZero() != last {
		f.Fatalf("refresh token %d: spent %v, the last one %v", n, refresh.Spent, last)
	}
	must(f.Token(f.Context(), fmt.Sprint("t", n)))(f)
	if last {
		if got := len(must(f.Events(f.Context(), now, n+2))(f)); got != n {
			f.Fatalf("%d events of %d rotations", got, n)
		}
		if got := len(f.revocations(now)); got != n {
			f.Fatalf("%d revocations of %d rotations", got, n)
		}
	}
}

// none checks that nothing of rotation n is there.
func (f *fixture) none(n int) {
	f.Helper()
	if _, err := f.Refresh(f.Context(), hash("f", n)); !errors.Is(err, store.ErrNotFound) {
		f.Fatalf("half a rotation: refresh token %d, %v", n, err)
	}
	if _, err := f.Token(f.Context(), fmt.Sprint("t", n)); !errors.Is(err, store.ErrNotFound) {
		f.Fatalf("half a rotation: access token %d, %v", n, err)
	}
}
