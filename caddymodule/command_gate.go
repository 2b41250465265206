package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "gate",
		Usage: "explain …",
		Short: "Explains what the gates of the running instance decide",
		Long: `
Asks the running instance through Caddy's admin API at '` + caddy.DefaultAdminListen + `'. Name
another endpoint with --address, or the configuration that says where it is with
--config.`,
		CobraFunc: func(root *cobra.Command) {
			adminFlags(root)
			root.RunE, root.Args = needSubcommand, cobra.ArbitraryArgs
			root.SilenceUsage = true
			root.AddCommand(gateExplain())
		},
	})
}

func gateExplain() *cobra.Command {
	c := &cobra.Command{
		Use: "explain METHOD URL", Args: cobra.ExactArgs(2),
		Short: "Says why a request is let through or refused, and what would change that",
		Long: `
Says why a request is let through or refused: the gates on its way, the issuer and
the key of the token, the line of the Caddyfile that decides, and what would change
that. Nothing is sent to a backend. The request is taken to come from this machine, by
HTTP/1.1 and without further headers, unless --from, --protocol and --header say others.

Other users of the machine can read a command's arguments: in the place of --token,
--token-stdin reads the token, and --cookie-stdin what a browser sends as Cookie to a
site with a login. A sign-in that is at its end is not renewed.`,
		RunE: func(c *cobra.Command, args []string) error {
			q := question{
				Method: args[0], URL: args[1], Via: c.Flag("via").Value.String(), Listener: c.Flag("listener").Value.String(),
				Protocol: c.Flag("protocol").Value.String(), From: c.Flag("from").Value.String(),
			}
			if c.Flag("token-stdin").Changed && c.Flag("cookie-stdin").Changed {
				return errors.New("--token-stdin and --cookie-stdin: standard input holds one of both")
			}
			var err error
			if q.Headers, err = c.Flags().GetStringArray("header"); err != nil {
				return err
			}
			if q.Token, err = tokenOf(c); err != nil {
				return err
			}
			if q.Cookie, err = given(c, "cookie"); err != nil {
				return err
			}
			answer, err := callPath(c, http.MethodPost, explainPath, q)
			if err != nil {
				return err
			}
			return printAnswer(c, answer, func(out io.Writer, answer []byte) error { return q.print(out, answer) })
		},
	}
	c.Flags().String("token", "", "The access token of the request; without one it has none")
	c.Flags().String("via", "", "The address at which another proxy asks a gate with the word `answer`, which URL is about")
	c.Flags().Bool("token-stdin", false, "Read the access token from standard input")
	c.Flags().String("cookie", "", "What a browser sends as Cookie: __Host-gatehouse-login=…")
	c.Flags().Bool("cookie-stdin", false, "Read that from standard input")
	c.Flags().StringArray("header", nil, "A further header, as 'Upgrade: websocket'; may be given again")
	c.Flags().String("protocol", "", "http/1.0, http/1.1 (default), http/2 or http/3")
	c.Flags().String("from", "", "The address that the request comes from (default 127.0.0.1)")
	c.Flags().String("listener", "", "The listener that the request comes to, such as 10.0.0.1:443, where several servers share a port")
	return c
}

// tokenOf takes a token as it stands, or with the scheme in front as it was
// copied from a header.
func tokenOf(c *cobra.Command) (string, error) {
	raw, err := given(c, "token")
	if err != nil {
		return "", err
	}
	if name, value, found := strings.Cut(raw, ":"); found && strings.EqualFold(name, "Authorization") {
		raw = strings.TrimSpace(value)
	}
	if len(raw) > 7 && strings.EqualFold(raw[:7], "Bearer ") {
		raw = strings.TrimSpace(raw[7:])
	}
	return raw, nil
}

// given is what a flag says, or standard input where the flag of that name with
// -stdin is there.
func given(c *cobra.Command, flag string) (string, error) {
	value := c.Flag(flag).Value.String()
	if stdin, err := c.Flags().GetBool(flag + "-stdin"); err != nil || !stdin {
		return value, err
	}
	if value != "" {
		return "", fmt.Errorf("--%s and --%s-stdin: one of both", flag, flag)
	}
	text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 64<<10))
	if err != nil {
		return "", fmt.Errorf("reading the %s: %w", flag, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// print shows the decision first, then the gates with their lines.
func (q question) print(out io.Writer, answer []byte) error {
	var x explanation
	if err := json.Unmarshal(answer, &x); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	say := func(format string, a ...any) { // what a token says must not move the terminal's cursor
		fmt.Fprintln(out, strings.Map(printable, strings.TrimRight(fmt.Sprintf(format, a...), " ")))
	}
	decision := x.Decision
	if x.Status != 0 {
		decision = fmt.Sprintf("%s: %d %s", x.Decision, x.Status, x.Reason)
	}
	say("%s %s", q.Method, q.URL)
	say("%s", decision)
	say("  because  %s  %s", orElse(x.At, "-"), x.Says)
	if x.Mend != "" {
		say("  mend     %s", x.Mend)
	}
	if x.Decision != "refused" {
		say("  next     %s", x.Next)
	}
	if len(x.Past) > 0 {
		say("  unless   %s on the way answers first, or changes what is judged: they are not asked here", strings.Join(x.Past, ", "))
	}
	if upper := strings.ToUpper(q.Method); upper != q.Method { // RFC 9110 §9.1
		say("  assumed  method %s, which is not %s", q.Method, upper)
	}
	if len(x.Assumed) > 0 {
		say("  assumed  %s: matchers on the way read that; say it with --header, --protocol or --from", strings.Join(x.Assumed, ", "))
	}
	x.Token.print(say)
	for _, g := range x.Gates {
		say("gate %s: %s", orElse(g.At, "-"), strings.TrimSpace(g.Decision+" "+g.Reason))
		for _, note := range g.Notes {
			say("  note   %s", note)
		}
		for _, r := range g.Rules {
			mark := "holds"
			if !r.Holds {
				mark = "FAILS"
			}
			say("  %s  %s  %s: %s", mark, orElse(r.At, "-"), r.Rule, r.Says)
		}
	}
	return nil
}

func (t *tokenReading) print(say func(string, ...any)) {
	switch {
	case t == nil:
	case !t.Verified:
		say("token, unverified: issuer %s, type %s, key %s", orElse(t.Issuer, "-"), orElse(t.Type, "-"), orElse(t.KeyID, "-"))
	default:
		cached := "read now"
		if t.Cached {
			cached = "read before"
		}
		say("token of %s for client %s (%s)", t.Subject, orElse(t.Client, "-"), cached)
		if k := t.Key; k != nil {
			say("  key %s, %s, %s, made %s", k.ID, k.Algorithm, k.State, day(k.Created))
		}
	}
	if t != nil && t.Keys != nil {
		say("  the issuer's keys are %s, fetched %s", t.Keys.State, orElse(day(t.Keys.Fetched), "never"))
	}
}
