//go:build unix

package caddymodule

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// A terminal that is closed ends a command as Ctrl-C does: it leaves nothing half done.
// What nohup has started goes on, and so does what a test under nohup starts.
func TestClosedTerminalEndsACommand(t *testing.T) {
	want, patience := context.Canceled, far
	if signal.Ignored(syscall.SIGHUP) {
		want, patience = errGoesOn, time.Second
	}
	c := &cobra.Command{}
	c.SetContext(t.Context())
	err := interruptible(func(ctx context.Context, _ *cobra.Command, _ []string) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(patience):
			return errGoesOn
		}
	})(c, nil)
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
}

var errGoesOn = errors.New("it goes on")

// A pipe that nobody writes into is not even opened, and hears of no end.
func TestImportOfAPipeThatNobodyOpensEnds(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancelCause(t.Context())
	pressed := errors.New("somebody pressed it")
	end(pressed)
	done := make(chan error, 1)
	go func() {
		_, err := readExport(ctx, &cobra.Command{}, pipe)
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, pressed) {
			t.Error(err)
		}
	case <-time.After(far):
		t.Error("it goes on")
	}
	if f, err := os.OpenFile(pipe, os.O_RDWR, 0); err != nil || f.Close() != nil { // whoever waits for it goes on, and ends
		t.Error(err)
	}
}
