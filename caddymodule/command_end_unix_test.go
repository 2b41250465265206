//go:build unix

package caddymodule

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// A terminal that is closed ends a command as Ctrl-C does: it leaves nothing half done.
func TestClosedTerminalEndsACommand(t *testing.T) {
	c := &cobra.Command{}
	c.SetContext(t.Context())
	err := interruptible(func(ctx context.Context, _ *cobra.Command, _ []string) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Second):
			return errors.New("it goes on")
		}
	})(c, nil)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
