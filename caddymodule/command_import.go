package caddymodule

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/move"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

func importCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE [--config CADDYFILE]",
		Short: "Stores an export in a database that has no records yet; - is standard input",
		Long: `Stores all records of an export in the database that the configuration names, by default the
Caddyfile of this folder, or nothing at all. No server may have been started on that database:
it would have made keys of its own. - is standard input.`,
		Args: oneFile(""),
		RunE: interruptible(func(ctx context.Context, c *cobra.Command, args []string) error {
			if err := asksNobody(c, "import"); err != nil {
				return err
			}
			from, err := readExport(ctx, c, args[0])
			if err != nil {
				return err
			}
			where, err := configured(ctx, c)
			if err != nil {
				return errors.Join(err, from.close())
			}
			moved, err := where.take(ctx, from)
			if err := errors.Join(err, from.close()); err != nil {
				return err
			}
			_, _ = fmt.Fprintln(c.ErrOrStderr(), "All of it is in "+where.key())
			tellOfKeys(c, moved.Rows["keys"], moved.Sealed)
			return printMoved(c, moved)
		}),
	}
}

// incoming is an export that is read.
type incoming struct {
	*bufio.Reader
	name  string
	close func() error
}

// readExport opens an export. Both that and reading it are over when ctx is.
func readExport(ctx context.Context, c *cobra.Command, name string) (incoming, error) {
	if name == "-" {
		return incoming{bufio.NewReader(awaited{c.InOrStdin(), ctx}), "standard input", func() error { return nil }}, nil
	}
	f, err := unlessEnded(ctx, func() (*os.File, error) { return os.Open(name) }) // it may be a pipe
	if err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = fmt.Errorf("%s: %w", name, path.Err)
		}
		return incoming{}, err
	}
	return incoming{bufio.NewReader(awaited{f, ctx}), name, f.Close}, nil
}

// take stores an export.
func (w named) take(ctx context.Context, from incoming) (move.Moved, error) {
	if begin, _ := from.Peek(len(sqlite.Magic)); string(begin) == sqlite.Magic {
		return move.Moved{}, fmt.Errorf("%s is a SQLite file, as a backup is, and no export: put it in the place of a SQLite store with: issuer restore", from.name)
	}
	if ctx.Err() != nil {
		return move.Moved{}, context.Cause(ctx)
	}
	// Before it is opened: that may upgrade it, under nodes that are older.
	if err := w.untouched(ctx); err != nil {
		return move.Moved{}, err
	}
	st, err := w.open(ctx)
	if err != nil {
		return move.Moved{}, err
	}
	moved, err := move.Import(ctx, st, from, w.keys.Opens)
	return moved, errors.Join(w.blame(ctx, from.name, err), st.Close())
}

// blame says whose an import's error is.
func (w named) blame(ctx context.Context, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, tokenissuer.ErrSealed) && w.keys.EncryptionKey == "":
		return placed(name+": its keys are sealed: set the key_encryption_key of the server that they are from", w.keysAt)
	case errors.Is(err, tokenissuer.ErrSealed):
		return placed(name+": its keys are sealed, and this key_encryption_key does not open them: set the one of the server that they are from", w.keysAt)
	case move.OfFile(err):
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("store %s: %w", w.key(), err)
}
