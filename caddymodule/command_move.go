package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/move"
)

func exportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "export FILE [--force] [--stopped]",
		Short: "Writes all records for another database; - is standard output",
		Long: `Writes all records of the running instance, as they are at one moment, to a file that import
reads into another database; - is standard output. What is answered after that moment is not in
it: to move without losing a sign-in, stop the server and say --stopped, which reads the store
that --config names. The file holds everything: accounts, password hashes and keys.`,
		Args: oneFile(""),
	}
	force, stopped := copyFlags(c)
	c.RunE = interruptible(func(ctx context.Context, c *cobra.Command, args []string) error {
		if *stopped {
			if err := asksNobody(c, "--stopped"); err != nil {
				return err
			}
		}
		if args[0] == "-" {
			return exportToOutput(ctx, c, *stopped)
		}
		var moved move.Moved
		err := writeNew(args[0], *force, func(f *os.File) (err error) {
			moved, err = exportTo(ctx, c, *stopped, &outgoing{to: f, name: args[0]})
			return err
		})
		if err != nil {
			return err
		}
		tellOfKeys(c, moved.Rows["keys"], moved.Sealed)
		return printMoved(c, moved)
	})
	return c
}

func exportToOutput(ctx context.Context, c *cobra.Command, stopped bool) error {
	if err := without(c, "- is standard output, which has the export and nothing else", "force", "json"); err != nil {
		return err
	}
	to := &outgoing{to: c.OutOrStdout(), name: "standard output"}
	moved, err := unlessEnded(ctx, func() (move.Moved, error) { return exportTo(ctx, c, stopped, to) })
	if err == nil {
		tellOfKeys(c, moved.Rows["keys"], moved.Sealed)
	}
	return err
}

// exportTo writes an export, and has looked that it is whole.
func exportTo(ctx context.Context, c *cobra.Command, stopped bool, to *outgoing) (move.Moved, error) {
	if !stopped {
		from, err := ask(ctx, c, http.MethodPost, adminBase+"/export", nil)
		if err != nil {
			return move.Moved{}, err
		}
		defer func() { _ = from.Close() }()
		moved, err := move.Check(io.TeeReader(from, to))
		return moved, brokenOff(to.or(err))
	}
	where, err := configured(ctx, c)
	if err != nil {
		return move.Moved{}, err
	}
	if err := where.found(ctx); err != nil {
		return move.Moved{}, err
	}
	// Before it is opened: that may upgrade it, under nodes that are older.
	if err := where.stopped(ctx); err != nil {
		return move.Moved{}, err
	}
	st, err := where.open(ctx)
	if err != nil {
		return move.Moved{}, err
	}
	moved, err := move.Export(ctx, st, to, where.stopped) // still: an import may read it at the other end of a pipe
	return moved, errors.Join(to.or(err), st.Close())
}

// brokenOff is err of reading what the server sends.
func brokenOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the server broke off, and its log says why: %w", err)
	}
	return err
}

func printMoved(c *cobra.Command, moved move.Moved) error {
	answer, err := json.Marshal(moved)
	if err != nil {
		return err
	}
	return printAnswer(c, answer, func(out io.Writer, _ []byte) error {
		w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "TABLE\tROWS")
		for _, name := range slices.Sorted(maps.Keys(moved.Rows)) {
			_, _ = fmt.Fprintf(w, "%s\t%d\n", name, moved.Rows[name])
		}
		return w.Flush()
	})
}
