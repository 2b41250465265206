package caddymodule

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

func userAdd() *cobra.Command {
	var n tokenissuer.NewUser
	c := &cobra.Command{
		Use:   "add NAME [--email E] [--phone +E164] [--display-name N] [--password-stdin | --password-hash-stdin]",
		Short: "Adds a user",
		Long:  "Adds a user. Without a password it is signed in to by one-time code alone, where a client\ntakes codes sent to its address; without an address by nobody. A hash is what another system\nkept: argon2, bcrypt, scrypt or PBKDF2; it is replaced by ours at the first sign-in.",
		Args:  oneArg("NAME"),
	}
	c.Flags().StringVar(&n.Email, "email", "", "E-mail address")
	c.Flags().StringVar(&n.PhoneNumber, "phone", "", "Phone number, such as +4915112345678")
	c.Flags().StringVar(&n.Name, "display-name", "", "Name that people are shown")
	fromStdin := c.Flags().Bool("password-stdin", false, "Read the password from standard input")
	hashFromStdin := c.Flags().Bool("password-hash-stdin", false, "Read the hash of the password from standard input")
	c.MarkFlagsMutuallyExclusive("password-stdin", "password-hash-stdin")
	c.RunE = func(c *cobra.Command, args []string) error {
		n.Username = args[0]
		into := &n.Password
		if *hashFromStdin {
			into = &n.PasswordHash
		}
		if *fromStdin || *hashFromStdin {
			var err error
			awaitTyping(c)
			if *into, err = readPassword(c.InOrStdin()); err != nil {
				return err
			}
		}
		answer, err := call(c, http.MethodPost, "/users", n)
		if err != nil {
			return err
		}
		if !*fromStdin && !*hashFromStdin {
			fmt.Fprintf(c.ErrOrStderr(), "No password: only a one-time code signs in. Set one: %s set-password %s --password-stdin%s\n", c.Parent().CommandPath(), n.Username, sameServer(c))
		}
		return printAnswer(c, answer, userTable)
	}
	return c
}

// sameServer repeats the flags that led to the server.
func sameServer(c *cobra.Command) (flags string) {
	for _, name := range []string{"address", "config", "adapter"} {
		if f := c.Flag(name); f != nil && f.Changed {
			flags += " --" + name + " " + f.Value.String()
		}
	}
	return flags
}

func userSetPassword() *cobra.Command {
	c := &cobra.Command{
		Use:   "set-password NAME --password-stdin",
		Short: "Sets a user's password; its sign-ins end",
		Args:  oneArg("NAME"),
	}
	fromStdin := c.Flags().Bool("password-stdin", false, "Read the password from standard input")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !*fromStdin {
			return errors.New("say --password-stdin: a password in the arguments is seen by every process")
		}
		awaitTyping(c)
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

// userSet writes attributes that the configuration declares.
func userSet() *cobra.Command {
	return &cobra.Command{
		Use:   "set NAME ATTRIBUTE=VALUE…",
		Short: "Sets attributes of a user; ATTRIBUTE= takes one away",
		Long:  "Sets attributes of a user that the configuration declares; ATTRIBUTE= takes one away. Access tokens that\ncould say the old value of an operator_attribute are refused from now on; the user's sign-ins go on.",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return errors.New("nothing to set: expected ATTRIBUTE=VALUE after the name")
			}
			values := map[string]string{}
			for _, arg := range args[1:] {
				name, value, found := strings.Cut(arg, "=")
				if _, twice := values[name]; !found || twice {
					return fmt.Errorf("%q: expected ATTRIBUTE=VALUE, each attribute once", arg)
				}
				values[name] = value
			}
			answer, err := call(c, http.MethodPost, "/users/"+url.PathEscape(args[0])+"/attributes", values)
			if err != nil {
				return err
			}
			return printAnswer(c, answer, userTable)
		},
	}
}

// userSetAddress writes how a user is reached.
func userSetAddress() *cobra.Command {
	c := &cobra.Command{
		Use:   "set-address NAME [--email E] [--phone +E164]",
		Short: "Sets a user's e-mail address or phone number",
		Long: "Sets a user's e-mail address or phone number; an empty one, --phone \"\", takes it away. Nobody has proved the\n" +
			"new one, so the user is asked to confirm it. Its sign-ins go on, and its mailbox is not told: lock the user\nfirst where somebody else may be signed in.",
		Args: oneArg("NAME"),
	}
	email := c.Flags().String("email", "", "E-mail address")
	phone := c.Flags().String("phone", "", "Phone number, such as +4915112345678")
	c.RunE = func(c *cobra.Command, args []string) error {
		var to tokenissuer.UserAddress
		if c.Flag("email").Changed {
			to.Email = email
		}
		if c.Flag("phone").Changed {
			to.PhoneNumber = phone
		}
		if to.Email == nil && to.PhoneNumber == nil {
			return errors.New("nothing to set: expected --email or --phone")
		}
		answer, err := call(c, http.MethodPost, "/users/"+url.PathEscape(args[0])+"/address", to)
		if err != nil {
			return err
		}
		return printAnswer(c, answer, userTable)
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
	return show("show NAME", "Shows a user", oneArg("NAME"), userTable, func(a []string) string { return "/users/" + url.PathEscape(a[0]) })
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
	return &cobra.Command{Use: verb + " NAME", Short: short, Args: oneArg("NAME"), RunE: func(c *cobra.Command, args []string) error {
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
