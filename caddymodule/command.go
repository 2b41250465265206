package caddymodule

import (
	"bufio"
	"bytes"
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

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "issuer",
		Usage: "user|client|key …",
		Short: "Manages the users, clients and keys of the running token issuer",
		Long: `
Manages the token issuer of the running instance through Caddy's admin API at
'` + caddy.DefaultAdminListen + `'. Name another endpoint with --address, or the
configuration that says where it is with --config.

Prints a table, or JSON with --json. On failure it prints one line and exits
with a status that is not zero.`,
		CobraFunc: addCommands,
	})
}

// addCommands adds `user`, `client` and `key`.
func addCommands(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.String("address", "", "Address of the administration API listener (if --config is not used)")
	flags.StringP("config", "c", "", "Configuration file (if --address is not used)")
	flags.StringP("adapter", "a", "", "Name of config adapter to apply (if --config is used)")
	flags.Bool("json", false, "Print JSON instead of a table")
	root.RunE, root.Args = needSubcommand, cobra.ArbitraryArgs
	root.SilenceUsage = true

	user := group("user", "Manages users")
	user.AddCommand(userAdd(), userList(), userShow(), userSetPassword(),
		userDo("lock", http.MethodPost, "Locks a user until unlocked; its tokens are refused from now on", stateLine),
		userDo("unlock", http.MethodPost, "Unlocks a user, and forgets its failed sign-ins", stateLine),
		userDo("freeze", http.MethodPost, "Freezes a user until unfrozen; its tokens are refused from now on", stateLine),
		userDo("unfreeze", http.MethodPost, "Unfreezes a user", stateLine),
		userDo("remove", http.MethodDelete, "Removes a user; its tokens are refused from now on", line("removed")))

	client := group("client", "Shows clients")
	client.AddCommand(
		show("list", "Lists the clients", cobra.NoArgs, clientTable, func([]string) string { return "/clients" }),
		show("show ID", "Shows a client", cobra.ExactArgs(1), clientTable, func(a []string) string { return "/clients/" + url.PathEscape(a[0]) }))

	key := group("key", "Manages signing keys")
	key.AddCommand(
		show("list", "Lists the signing keys", cobra.NoArgs, keyTable, func([]string) string { return "/keys" }),
		keyRotate())

	root.AddCommand(user, client, key)
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

func userAdd() *cobra.Command {
	var n tokenissuer.NewUser
	c := &cobra.Command{
		Use:   "add NAME [--email E] [--phone +E164] [--display-name N] [--password-stdin]",
		Short: "Adds a user",
		Long:  "Adds a user. Without --password-stdin nobody can sign in to it until it gets a password.",
		Args:  cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&n.Email, "email", "", "E-mail address")
	c.Flags().StringVar(&n.PhoneNumber, "phone", "", "Phone number, such as +4915112345678")
	c.Flags().StringVar(&n.Name, "display-name", "", "Name that people are shown")
	fromStdin := c.Flags().Bool("password-stdin", false, "Read the password from standard input")
	c.RunE = func(c *cobra.Command, args []string) error {
		n.Username = args[0]
		if *fromStdin {
			var err error
			if n.Password, err = readPassword(c.InOrStdin()); err != nil {
				return err
			}
		}
		answer, err := call(c, http.MethodPost, "/users", n)
		if err != nil {
			return err
		}
		if !*fromStdin {
			fmt.Fprintf(c.ErrOrStderr(), "No password yet; set one: %s set-password %s --password-stdin\n", c.Parent().CommandPath(), n.Username)
		}
		return printAnswer(c, answer, userTable)
	}
	return c
}

func userSetPassword() *cobra.Command {
	c := &cobra.Command{
		Use:   "set-password NAME --password-stdin",
		Short: "Sets a user's password; its sign-ins end",
		Args:  cobra.ExactArgs(1),
	}
	fromStdin := c.Flags().Bool("password-stdin", false, "Read the password from standard input")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !*fromStdin {
			return errors.New("say --password-stdin: a password in the arguments is seen by every process")
		}
		password, err := readPassword(c.InOrStdin())
		if err != nil {
			return err
		}
		answer, err := call(c, http.MethodPost, "/users/"+url.PathEscape(args[0])+"/password", map[string]string{"password": password})
		if err != nil {
			return err
		}
		return printAnswer(c, answer, line("has a new password; its sign-ins have ended")(args[0]))
	}
	return c
}

// readPassword reads one line.
func readPassword(from io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(from, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("no password on standard input")
	}
	return line, nil
}

func userShow() *cobra.Command {
	return show("show NAME", "Shows a user", cobra.ExactArgs(1), userTable, func(a []string) string { return "/users/" + url.PathEscape(a[0]) })
}

// userList asks page by page: there may be many.
func userList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "Lists the users", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		users := []tokenissuer.User{}
		for after := ""; ; {
			answer, err := call(c, http.MethodGet, fmt.Sprintf("/users?limit=%d&after=%s", mostUsers, url.QueryEscape(after)), nil)
			if err != nil {
				return err
			}
			var page []tokenissuer.User
			if err := json.Unmarshal(answer, &page); err != nil {
				return fmt.Errorf("reading the answer: %w", err)
			}
			users = append(users, page...)
			if len(page) < mostUsers {
				break
			}
			after = page[len(page)-1].ID
		}
		answer, err := json.Marshal(users)
		if err != nil {
			return err
		}
		return printAnswer(c, answer, userTable)
	}}
}

// userDo is a command on one user that prints a line.
func userDo(verb, method, short string, says func(name string) table) *cobra.Command {
	return &cobra.Command{Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		path := "/users/" + url.PathEscape(args[0])
		if method == http.MethodPost {
			path += "/" + verb
		}
		answer, err := call(c, method, path, nil)
		if err != nil {
			return err
		}
		return printAnswer(c, answer, says(args[0]))
	}}
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

// call sends a request to the admin API of the running instance.
func call(c *cobra.Command, method, path string, body any) ([]byte, error) {
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
	answer, err := caddycmd.AdminAPIRequest(address, method, adminBase+path, nil, content)
	if err != nil {
		return nil, plain(address, err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return text, nil
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
