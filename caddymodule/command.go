package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "issuer",
		Usage: "user|client|key|backup|restore|export|import …",
		Short: "Manages the users, clients, keys and records of the token issuer",
		Long: `
Manages the token issuer of the running instance through Caddy's admin API at
'` + caddy.DefaultAdminListen + `'. Name another endpoint with --address, or the
configuration that says where it is with --config. 'restore' and 'import', and
'backup' and 'export' with --stopped, work on the store of a configuration that no
server runs with.

Prints a table, or JSON with --json. On failure it prints one line and exits
with a status that is not zero.`,
		CobraFunc: addCommands,
	})
}

// addCommands adds `user`, `client`, `key` and what copies the store.
func addCommands(root *cobra.Command) {
	adminFlags(root)
	root.RunE, root.Args = needSubcommand, cobra.ArbitraryArgs
	root.SilenceUsage = true
	root.SetFlagErrorFunc(flagError)

	user := group("user", "Manages users")
	user.AddCommand(userAdd(), userList(), userShow(), userSet(), userSetAddress(), userSetPassword(),
		userDo("lock", http.MethodPost, "Locks a user until unlocked; its tokens are refused from now on", stateLine),
		userDo("unlock", http.MethodPost, "Unlocks a user, and forgets its failed sign-ins", stateLine),
		userDo("freeze", http.MethodPost, "Freezes a user until unfrozen; its tokens are refused from now on", stateLine),
		userDo("unfreeze", http.MethodPost, "Unfreezes a user", stateLine),
		userDo("remove", http.MethodDelete, "Removes a user; its tokens are refused from now on", line("removed")))

	client := group("client", "Shows clients, and ends what one has")
	client.AddCommand(
		show("list", "Lists the clients", cobra.NoArgs, clientTable, func([]string) string { return "/clients" }),
		show("show ID", "Shows a client", oneArg("ID"), clientTable, func(a []string) string { return "/clients/" + url.PathEscape(a[0]) }),
		clientRevoke())

	key := group("key", "Manages signing keys")
	key.AddCommand(
		show("list", "Lists the signing keys", cobra.NoArgs, keyTable, func([]string) string { return "/keys" }),
		keyRotate())

	root.AddCommand(user, client, key, backupCommand(), restoreCommand(), exportCommand(), importCommand())
}

// adminFlags adds what says where the running instance is, and how to print.
func adminFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.String("address", "", "Address of the administration API listener (if --config is not used)")
	flags.StringP("config", "c", "", "Configuration file (if --address is not used)")
	flags.StringP("adapter", "a", "", "Name of config adapter to apply (if --config is used)")
	flags.Bool("json", false, "Print JSON instead of a table")
}

func group(name, short string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, RunE: needSubcommand, Args: cobra.ArbitraryArgs}
}

// needSubcommand refuses a group without a right word after it.
func needSubcommand(c *cobra.Command, args []string) error {
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, sub.Name())
	}
	if len(args) == 0 {
		return fmt.Errorf("%s: expected %s", c.Name(), list(names))
	}
	return fmt.Errorf("%s: unknown word %q%s: expected %s", c.Name(), args[0], didYouMean(args[0], names), list(names))
}

func keyRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate", Short: "Announces a new signing key, which signs once others can know it", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			answer, err := call(c, http.MethodPost, "/keys/rotate", nil)
			if err != nil {
				return err
			}
			return printAnswer(c, answer, keyTable)
		},
	}
}

// show is a command that prints what a path answers.
func show(use, short string, args cobra.PositionalArgs, t table, path func(args []string) string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(c *cobra.Command, a []string) error {
		answer, err := call(c, http.MethodGet, path(a), nil)
		if err != nil {
			return err
		}
		return printAnswer(c, answer, t)
	}}
}

// call sends a request about the issuer to the running instance.
func call(c *cobra.Command, method, path string, body any) ([]byte, error) {
	return callPath(c, method, adminBase+path, body)
}

// callPath sends a request to the admin API of the running instance.
func callPath(c *cobra.Command, method, path string, body any) ([]byte, error) {
	answer, err := ask(c.Context(), c, method, path, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Close() }()
	text, err := io.ReadAll(answer)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return text, nil
}

// ask is callPath for an answer that may be of any size. It ends with ctx.
func ask(ctx context.Context, c *cobra.Command, method, path string, body any) (io.ReadCloser, error) {
	flag := func(name string) string { return c.Flag(name).Value.String() }
	address, err := caddycmd.DetermineAdminAPIAddress(flag("address"), nil, flag("config"), flag("adapter"))
	if err != nil {
		return nil, fmt.Errorf("finding the admin API: %w", err)
	}
	var content io.Reader
	if method == http.MethodPost {
		if body == nil {
			body = struct{}{}
		}
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	answer, err := unlessEnded(ctx, func() (io.ReadCloser, error) {
		answer, err := caddycmd.AdminAPIRequest(address, method, path, nil, content)
		if err != nil {
			return nil, plain(address, err)
		}
		return answer.Body, nil
	})
	if err != nil {
		return nil, err
	}
	return interrupted(ctx, answer), nil
}

// plain takes the message out of an error that quotes the admin API's answer.
// Caddy wraps none of them.
func plain(address string, err error) error {
	_, quoted, found := strings.Cut(err.Error(), `{"error":`)
	var message string
	if found && json.NewDecoder(strings.NewReader(quoted)).Decode(&message) == nil {
		return errors.New(message)
	}
	if _, unanswered := strings.CutPrefix(err.Error(), "performing request: "); unanswered {
		return fmt.Errorf("nothing answers at %s: does it run? --address or --config name another admin endpoint: %w", address, err)
	}
	return fmt.Errorf("asking the running instance: %w", err)
}
