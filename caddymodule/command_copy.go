package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/move"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

func backupCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "backup FILE [--force] [--stopped]",
		Short: "Copies a SQLite store while it is in use",
		Long: `Copies the SQLite store of the running instance, as it is at one moment, to a file that is
checked before it gets its name. The copy holds everything: accounts, password hashes and keys.`,
		Args: oneFile("a backup is looked at on the disk before it counts: name one, or write an export to standard output with: issuer export -"),
	}
	force, stopped := copyFlags(c)
	c.RunE = interruptible(func(ctx context.Context, c *cobra.Command, args []string) error {
		if *stopped {
			if err := asksNobody(c, "--stopped"); err != nil {
				return err
			}
		}
		var found sqlite.Copy
		err := writeNew(args[0], *force, func(f *os.File) (err error) {
			from, err := backupFrom(ctx, c, *stopped)
			if err != nil {
				return err
			}
			to := &outgoing{to: f, name: args[0]}
			_, err = io.Copy(to, from)
			if err := errors.Join(to.or(err), from.Close()); err != nil {
				return brokenOff(err)
			}
			found, err = sqlite.Verify(ctx, f.Name())
			return err
		})
		if err != nil {
			return err
		}
		tellOfKeys(c, found.Keys, found.Sealed)
		return printCopy(c, args[0], found)
	})
	return c
}

// backupFrom is a backup to be read: from the running instance, or of a store that
// nobody has open.
func backupFrom(ctx context.Context, c *cobra.Command, stopped bool) (io.ReadCloser, error) {
	if !stopped {
		return ask(ctx, c, http.MethodPost, adminBase+"/backup", nil)
	}
	where, err := configured(ctx, c)
	if err != nil {
		return nil, err
	}
	if where.file == "" {
		return nil, errNoFile
	}
	return sqlite.BackUpStopped(ctx, where.file)
}

func restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE [--config CADDYFILE]",
		Short: "Puts a backup in the place of a SQLite store that no server runs on",
		Long: `Puts a backup in the place of the SQLite store that the configuration names, by default the
Caddyfile of this folder. The store that is there is kept beside it under another name. What
happened after the backup is forgotten, revocations too.`,
		Args: oneFile("a backup is looked at on the disk before it takes the store's place: name one"),
		RunE: interruptible(func(ctx context.Context, c *cobra.Command, args []string) error {
			if err := asksNobody(c, "restore"); err != nil {
				return err
			}
			where, err := configured(ctx, c)
			if err != nil {
				return err
			}
			if where.file == "" {
				return errNoFile
			}
			done, err := sqlite.Restore(ctx, where.file, args[0], time.Now())
			if err != nil && move.Begins(head(args[0])) {
				return fmt.Errorf("%s is an export and no backup: store it in a database that has no records yet with: issuer import", args[0])
			}
			if err != nil {
				return err
			}
			tellOfKeys(c, done.Keys, done.Sealed)
			if done.Kept != "" {
				_, _ = fmt.Fprintln(c.ErrOrStderr(), "The store before is kept as "+done.Kept)
			}
			return printCopy(c, done.Store, done)
		}),
	}
}

func copyFlags(c *cobra.Command) (force, stopped *bool) {
	return c.Flags().Bool("force", false, "Replace FILE if it is there"),
		c.Flags().Bool("stopped", false, "Of the store that --config names, which no server has open")
}

// head is how a file begins, where it is one.
func head(name string) []byte {
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, 64)
	n, _ := io.ReadFull(f, b)
	return b[:n]
}

// named is the database of the configuration that a command names, with what its keys are
// sealed with.
type named struct {
	database
	keys   tokenissuer.KeyRules
	keysAt string
}

func configured(ctx context.Context, c *cobra.Command) (named, error) {
	text, file, _, err := caddycmd.LoadConfig(c.Flag("config").Value.String(), c.Flag("adapter").Value.String())
	if err != nil {
		return named{}, err
	}
	if text == nil {
		return named{}, errors.New("no configuration: say with --config which one names the store")
	}
	var config struct {
		Apps struct {
			Issuer *App `json:"token_issuer"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return named{}, fmt.Errorf("%s: %w", file, err)
	}
	app := config.Apps.Issuer
	if app == nil {
		return named{}, fmt.Errorf("%s configures no token_issuer", file)
	}
	r := &reader{repl: caddy.NewReplacer()}
	kek, where := app.secrets(r)
	if r.err != nil {
		return named{}, r.err
	}
	if where, err = where.check(ctx); err != nil {
		return named{}, placed("token_issuer: "+err.Error(), app.storeAt())
	}
	return named{where, tokenissuer.KeyRules{EncryptionKey: kek}, app.Lines.of("key_encryption_key", "", app.At)}, nil
}

// tellOfKeys says what the keys of a copy are worth to whoever has it.
func tellOfKeys(c *cobra.Command, keys, sealed int64) {
	text := "Its keys are not sealed: whoever reads it can sign tokens. See key_encryption_key."
	switch {
	case keys == 0:
		text = "It has no keys: no server has ever run on this store. Look whether it is the one you mean."
	case sealed == keys:
		text = "Its keys are sealed: without the key_encryption_key of now it is of no use. Keep that elsewhere."
	case sealed > 0:
		text = "Some of its keys are not sealed: whoever reads it can sign tokens. The others need the key_encryption_key of now."
	}
	_, _ = fmt.Fprintln(c.ErrOrStderr(), text)
}

func printCopy(c *cobra.Command, name string, found any) error {
	answer, err := json.Marshal(found)
	if err != nil {
		return err
	}
	return printAnswer(c, answer, rows("FILE\tBYTES\tSCHEMA\tACCOUNTS\tKEYS\tSEALED", func(f sqlite.Copy) []string {
		return []string{name, fmt.Sprint(f.Bytes), fmt.Sprint(f.Schema), fmt.Sprint(f.Accounts), fmt.Sprint(f.Keys), fmt.Sprint(f.Sealed)}
	}))
}
