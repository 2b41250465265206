package caddymodule

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// interruptible has a command end at Ctrl-C with nothing half done. Where something hangs
// all the same, the next Ctrl-C is what it is everywhere.
func interruptible(do func(context.Context, *cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
		if !signal.Ignored(syscall.SIGHUP) { // as under nohup
			ends = append(ends, syscall.SIGHUP) // the terminal, or the way to it, is gone
		}
		ctx, stop := signal.NotifyContext(c.Context(), ends...)
		defer stop()
		defer context.AfterFunc(ctx, stop)()
		return do(ctx, c, args)
	}
}

// unlessEnded is what do answers, unless ctx ends before: then do is left alone with what
// hears of no end, such as a pipe that nobody reads, until the program is over.
func unlessEnded[T any](ctx context.Context, do func() (T, error)) (T, error) {
	var answer T
	done := make(chan error, 1)
	go func() {
		var err error
		answer, err = do()
		done <- err
	}()
	select {
	case err := <-done:
		return answer, err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// endable is an answer that is over when ctx is.
type endable struct {
	io.ReadCloser
	ctx context.Context
	off func() bool
}

func interrupted(ctx context.Context, answer io.ReadCloser) io.ReadCloser {
	return endable{answer, ctx, context.AfterFunc(ctx, func() { _ = answer.Close() })}
}

func (e endable) Read(b []byte) (int, error) {
	n, err := e.ReadCloser.Read(b)
	if err != nil && e.ctx.Err() != nil {
		err = context.Cause(e.ctx) // not that it was closed
	}
	return n, err
}

func (e endable) Close() error {
	e.off()
	return e.ReadCloser.Close()
}
