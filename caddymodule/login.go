package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// Login is where a gate sends people to sign in.
type Login struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// Where each word of it was written.
	Lines Lines `json:"lines,omitempty"`

	// The client that people sign in to, one with the grant authorization_code and a
	// redirect URI `https://<site>/.gatehouse/callback` for each site. Default: the one
	// such client among `audience`, or of the issuer. Required with a foreign issuer.
	ClientID string `json:"client_id,omitempty"`

	// The foreign issuer to sign in to, one of the gate's `issuer` blocks. Default: the
	// embedded one, or with `embedded off` the only one there is.
	Issuer string `json:"issuer,omitempty"`

	// The client's secret at a foreign issuer. The embedded one needs none here.
	ClientSecret string `json:"client_secret,omitempty"`

	// The foreign issuer's token endpoint, where it is on another host than the
	// issuer. Default: by its metadata.
	TokenEndpoint string `json:"token_endpoint,omitempty"`

	// Scopes to ask for besides `openid`, where the client has it, and the gate's own.
	Scope []string `json:"scope,omitempty"`
}

// login parses:
//
//	login [<issuer>] {
//		client_id <id>
//		client_secret <secret>
//		token_endpoint <url>
//		scope <scope>…
//	}
func (p *gateParser) login() error {
	l := &Login{At: at(p.Dispenser)}
	if p.NextArg() {
		if l.Issuer = p.Val(); strings.TrimSpace(l.Issuer) == "" {
			return p.Errf("%s: login: an empty value; write `login` alone, or with the issuer to sign in to", p.name)
		}
	}
	if p.NextArg() {
		return p.Errf("%s: unexpected %q after login %s", p.name, p.Val(), l.Issuer)
	}
	b := newBlock(p.Dispenser, p.name+": login")
	if err := b.read(words{
		"client_id":      b.text(&l.ClientID),
		"client_secret":  b.text(&l.ClientSecret),
		"token_endpoint": b.text(&l.TokenEndpoint),
		"scope":          b.texts(&l.Scope),
	}); err != nil {
		return err
	}
	l.Lines = b.lines.kept()
	p.gate.Login = l
	return nil
}

// resolve returns a copy without placeholders.
func (l *Login) resolve(r *reader) *Login {
	if l == nil {
		return nil
	}
	r.at, r.lines = l.At, l.Lines
	v := &Login{At: l.At, Lines: l.Lines, Scope: r.texts("login scope", l.Scope)}
	v.Issuer, _ = r.text("login", l.Issuer)
	v.ClientID, _ = r.text("login client_id", l.ClientID)
	v.ClientSecret, _ = r.text("login client_secret", l.ClientSecret)
	v.TokenEndpoint, _ = r.text("login token_endpoint", l.TokenEndpoint)
	return v
}

// signIn is what a login says once everything is known.
type signIn struct {
	client  string // "" without a login
	scopes  []string
	foreign string   // the issuer's identifier, "" for the embedded one
	missing []string // claims that the expression asks for and its tokens do not say
	asked   remote.RegisteredConfig
	roots   string // names those of asked
}

// buildLogins makes the logins of the gates, one for each client.
func (a *App) buildLogins(run *running) (err error) {
	for n, g := range a.gates {
		g.number = n
		if g.from == fromHeader {
			continue
		}
		if run.keys == nil {
			if run.keys, err = a.loginKeys(run); err != nil {
				return err
			}
			run.logins = map[string]*login.Login{}
		}
		if g.signIn.client == "" {
			continue
		}
		l, err := a.loginOf(run, g.signIn)
		if err != nil {
			return err
		}
		// All of them at once: who was let in by one gate need not come back for the next.
		for _, s := range g.signIn.scopes {
			if !slices.Contains(l.Scopes, s) {
				l.Scopes = append(l.Scopes, s)
			}
		}
		g.login = l
	}
	a.introduce()
	return nil
}

// loginOf is the login of a client, made for the first gate that has it.
func (a *App) loginOf(run *running, s signIn) (*login.Login, error) {
	issuer := s.foreign
	if issuer == "" {
		issuer = run.issuer.Identifier()
	}
	key := issuer + " " + s.client
	if l := run.logins[key]; l != nil {
		return l, nil
	}
	l := &login.Login{Key: key, Client: s.client, Keys: run.keys, Memory: run.earned}
	l.MaxAge = func(gate int) time.Duration { return a.gateOf(l, gate).compiled.MaxAge }
	if l.Judge = a.judgeFor(l, run.now); s.foreign != "" {
		asked, err := a.remotes.registered(s)
		if err != nil {
			return nil, err
		}
		l.Issuer, l.Away = outside{asked, s.foreign, s.client, run.now}, true
	} else {
		l.Issuer = inside{run.issuer, s.client}
	}
	run.logins[key] = l
	return l, nil
}

// loginKeys are the issuer's, or without an issuer of Caddy's storage.
func (a *App) loginKeys(run *running) (*login.Keys, error) {
	if run.issuer != nil {
		return login.NewKeys(run.issuer.LoginKey())
	}
	ctx, cancel := context.WithTimeout(a.ctx, openTimeout)
	defer cancel()
	secret, err := storedKey(ctx, a.ctx.Storage())
	if err != nil {
		return nil, fmt.Errorf("token_gate: login: the key of the cookies in Caddy's storage: %w", err)
	}
	return login.NewKeys(secret)
}

// inside is the issuer of this process, for one of its clients.
type inside struct {
	issuer *tokenissuer.Issuer
	client string
}

func (i inside) Doors(_ context.Context, back string) (login.Doors, error) {
	d, err := i.issuer.Doors(i.client, back)
	return login.Doors{Issuer: d.Issuer, Authorize: d.Authorize, SignOut: d.SignOut}, err
}

func (i inside) Earn(ctx context.Context, peer string, form url.Values) (login.Tokens, error) {
	e, err := i.issuer.Earn(ctx, i.client, addressOf(peer), form)
	if err != nil {
		return login.Tokens{}, judged(err)
	}
	return login.Tokens{Access: e.Access, Refresh: e.Refresh, Expires: e.Expires}, nil
}

func (i inside) Revoke(ctx context.Context, peer, token string) error {
	return i.issuer.EndSignIn(ctx, i.client, addressOf(peer), token)
}

// judged tells the issuer's no from its silence.
func judged(err error) error {
	switch oauth.AsError(err).Code {
	case oauth.InvalidGrant, oauth.InvalidClient, oauth.UnauthorizedClient, oauth.InvalidRequest, oauth.InvalidScope:
		return errors.Join(login.ErrRefused, err)
	}
	return err
}

func addressOf(peer string) netip.Addr {
	if at, err := netip.ParseAddrPort(peer); err == nil {
		return at.Addr().Unmap().WithZone("")
	}
	ip, _ := netip.ParseAddr(peer) // the zero Addr where there is none
	return ip.Unmap().WithZone("")
}

// from says where a gate looks for a token.
type from int

const (
	fromHeader from = iota
	fromHeaderThenCookie
	fromCookieThenHeader
	fromCookie
)

// tokenFrom is the order of the words; a login alone reads both.
func (g *Gate) tokenFrom() from {
	switch words := strings.Join(g.TokenFrom, " "); {
	case words == "cookie":
		return fromCookie
	case words == "cookie header":
		return fromCookieThenHeader
	case words == "header cookie", g.Login != nil:
		return fromHeaderThenCookie
	}
	return fromHeader
}
