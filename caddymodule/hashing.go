package caddymodule

import (
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/hashing"
)

// hashingCommand is how our program is started again to hash passwords.
const hashingCommand = "token-issuer-hashing"

// hasCommand is set where this process was started through Caddy's commands.
// Another program that embeds Caddy must not be started again: who knows what it
// would do.
var hasCommand atomic.Bool

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  hashingCommand,
		Short: "Hashes passwords for the token issuer that started it",
		CobraFunc: func(c *cobra.Command) {
			hasCommand.Store(true)
			c.Hidden, c.Args = true, cobra.NoArgs
			c.RunE = func(*cobra.Command, []string) error { return hashing.Main() }
		},
	})
}

// hashes are the processes that hash passwords, of every configuration there is:
// nil where there can be none. They end by themselves when nobody needs them,
// and with this process.
var hashes = sync.OnceValue(func() *hashing.Pool {
	if !hasCommand.Load() {
		return nil
	}
	pool, err := hashing.NewPool([]string{hashingCommand}, warnOfHashing)
	if err != nil {
		warnOfHashing(err)
		return nil
	}
	return pool
})

// warnOfHashing, as all that outlives a reload, asks for the log when it has
// something to say: it is the newest configuration's.
func warnOfHashing(err error) {
	caddy.Log().Named("token_issuer").Warn("passwords are hashed in the server's own process, where every other request waits for it: "+
		"a process for it failed; allow the server to execute its own program, and enough memory and processes", zap.Error(err))
}
