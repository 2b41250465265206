package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// startMost is how long a request waits for an app that has not started yet:
// Caddy starts apps in any order, and http may be first.
const startMost = 5 * time.Second

// objection is the last configuration's that was given up before it was started.
var objection atomic.Pointer[error]

// Objection returns why no start would take the configuration that was validated, nil
// where it would. Caddy's `validate` asks nobody about what only shows when every
// module is there: the program that has us does, and ends with an error then.
func Objection() error {
	if err := objection.Load(); err != nil {
		return *err
	}
	return nil
}

var errNotRunning = errors.New("the token issuer is not running")

// running is what a started configuration serves with.
type running struct {
	*shared
	issuer *tokenissuer.Issuer // nil where only gates are configured
	// strip knows the identity headers of every gate of the configuration: what one
	// gate has set, the next must not take for the client's.
	strip *gate.Gate

	logins map[string]*login.Login // by their keys
	keys   *login.Keys             // of the cookies; nil where no gate takes tokens from them
}

// now is the time by which our own tokens count.
func (run *running) now() time.Time {
	if run.issuer == nil {
		return time.Now()
	}
	return run.issuer.Now()
}

// Provision resolves placeholders and checks the configuration. It opens
// nothing: `caddy validate` provisions, too.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger = ctx, ctx.Logger()
	a.ready = make(chan struct{})
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	if empty, err := a.isEmpty(); empty || err != nil {
		return err
	}
	a.issuing = true
	r := &reader{repl: caddy.NewReplacer()}
	a.resolved = a.translate(r)
	kek, where := a.secrets(r)
	if err := r.firstMistake(a.resolved.Validate()); err != nil {
		return err
	}
	a.offer = newOffer(a.resolved, nil)
	var err error
	if a.store, err = where.check(ctx); err != nil {
		return placed("token_issuer: "+err.Error(), a.storeAt())
	}
	a.warnOfIdle(r)
	a.warnOfLiterals()
	a.warnOfStore()
	a.warnOfWeakSecrets()
	a.rules = a.resolved.KeyRules(kek)
	a.resolved.Observe, a.resolved.Inbox, a.resolved.Leaving = a.observe, a.showMessage, leaving
	a.resolved.Hashing, a.resolved.GateCallback = hashes(), login.CallbackPath
	a.resolved.Staleness = tokenissuer.Staleness{Most: a.store.maxStaleness, Serve: a.store.serveStale}
	return nil
}

// isEmpty reports whether nothing at all is configured: Caddy makes an empty app
// where gates ask for one and none is.
func (a *App) isEmpty() (bool, error) {
	text, err := json.Marshal(a)
	return string(text) == "{}", err
}

// Start opens the store, or joins the configuration before this one in using
// it, and lets the requests in that wait.
func (a *App) Start() error {
	s, err := join(a.store, a.rules)
	if errors.Is(err, tokenissuer.ErrSealed) {
		return placed("token_issuer: "+err.Error(), a.Lines.of("key_encryption_key", "", a.At))
	}
	if err != nil {
		return placed("token_issuer: "+err.Error(), a.storeAt())
	}
	a.joined = s
	s.remember(a.memory())
	if err := a.lookAround(); err != nil {
		return err
	}
	run := &running{shared: s}
	if a.issuing {
		if run.issuer, err = tokenissuer.New(a.resolved, s.state); err != nil {
			return err
		}
	}
	if err := a.buildGates(run); err != nil {
		return err
	}
	s.serve(run.issuer)
	a.running.Store(run)
	a.settle.Do(func() { close(a.ready) })
	return nil
}

// leaving reports whether the server that took a request closes after its
// `shutdown_delay`. Caddy tells handlers by this placeholder alone.
func leaving(ctx context.Context) bool {
	repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return false
	}
	closing, _ := repl.Get("http.shutting_down")
	return closing == true
}

// memory is how much the gates may use for tokens, in bytes.
func (a *App) memory() int64 {
	var most int64
	for _, g := range a.gates {
		most = max(most, g.memory)
	}
	if most == 0 {
		return gate.DefaultCacheSize
	}
	return most
}

// buildGates joins the gates to the issuer's keys and revocations.
func (a *App) buildGates(run *running) error {
	union := gate.Config{Issuers: standIn, Headers: []gate.Header{}}
	seen := map[string]bool{}
	for _, g := range a.gates {
		if err := g.build(run); err != nil {
			return err
		}
		for _, h := range g.compiled.Headers {
			if name := http.CanonicalHeaderKey(h.Name); !seen[name] {
				seen[name] = true
				union.Headers = append(union.Headers, gate.Header{Name: name, Value: "{claim.sub}"})
			}
		}
	}
	var err error
	if run.strip, err = gate.New(union, run.cache); err != nil {
		return err
	}
	return a.buildLogins(run)
}

// Stop has nothing to do: requests are still under way.
func (a *App) Stop() error { return nil }

// Cleanup gives the state back. It may come without Start, and before or after
// the Cleanup of the handlers.
func (a *App) Cleanup() error {
	if a.ready != nil {
		a.settle.Do(func() { close(a.ready) })
	}
	if a.served || len(a.gates) > 0 || a.validated() {
		// Only validated. Every app is provisioned, or somebody has provisioned our
		// handlers: asking for the app that holds them provisions nothing.
		if err := a.lookAround(); err != nil {
			a.logger.Error(err.Error())
			objection.Store(&err)
		} else {
			objection.Store(nil)
		}
	}
	a.remotes.leave()
	if a.joined == nil {
		return nil
	}
	s := a.joined
	a.joined = nil
	if run := a.running.Load(); run != nil {
		s.retire(run.issuer)
	}
	s.forget(a.memory())
	return s.leave(a.rules)
}

// validated reports whether Caddy gives up a configuration that it has provisioned
// whole and was not asked to start. Caddy has no name for that, only these words.
func (a *App) validated() bool {
	if !a.issuing {
		return false
	}
	cause := context.Cause(a.ctx)
	return cause != nil && cause.Error() == "validation complete"
}

// lease returns what serves now, with a lease on the state that the caller
// releases. Before Start it waits; after Cleanup it still works as long as
// another configuration or request keeps the state open.
func (a *App) lease(ctx context.Context) (*running, error) {
	run := a.running.Load()
	if run == nil {
		ctx, cancel := context.WithTimeout(ctx, startMost)
		defer cancel()
		select {
		case <-a.ready:
		case <-ctx.Done():
		}
		run = a.running.Load()
	}
	if run == nil || !run.acquire() {
		return nil, errNotRunning
	}
	return run, nil
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
