package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// awaited reads what may never come: it is over when ctx is. Whoever reads on in the
// background has the end of a buffer that nobody looks at any more.
type awaited struct {
	io.Reader
	ctx context.Context
}

func (a awaited) Read(b []byte) (int, error) {
	return unlessEnded(a.ctx, func() (int, error) { return a.Reader.Read(b) })
}

// outgoing is where a copy is written to. What fails there is said of it, and not of what
// was being read.
type outgoing struct {
	to   io.Writer
	name string
	err  error
}

func (o *outgoing) Write(b []byte) (int, error) {
	n, err := o.to.Write(b)
	if err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err // the name is ours to say: a file has another one until it is whole
		}
		o.err = fmt.Errorf("writing %s: %w", o.name, err)
	}
	return n, err
}

// or is err, unless it was the writing that failed.
func (o *outgoing) or(err error) error {
	if o.err != nil {
		return o.err
	}
	return err
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
