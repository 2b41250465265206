package caddymodule

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// clientRevoke is for a client whose secret or tokens are in other hands.
func clientRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "Refuses all tokens that a client was given, and ends its sign-ins",
		Long: `Refuses every access token that a client was given, its own and those of people, from now on, and
ends the sign-ins that people have with it. The client goes on: where its secret is known to somebody
else, configure another one first. With very many sign-ins it takes minutes; where it is broken off,
the same command again goes on.`,
		Args: oneArg("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			answer, err := call(c, http.MethodPost, "/clients/"+url.PathEscape(args[0])+"/revoke", nil)
			if err != nil {
				return err
			}
			return printAnswer(c, answer, line("has nothing any more of what it was given")(args[0]))
		},
	}
}
