package caddymodule

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

// line is where a word of the block stands, or the block where it is without it.
func (l *Login) line(word, value string) string { return l.Lines.of(word, value, l.At) }

// idle says that a word is for a foreign issuer alone.
func (l *Login) idle() error {
	switch {
	case l.ClientSecret != "":
		return placed("token_gate: login: client_secret is without effect: the embedded issuer takes the word of this process", l.line("client_secret", ""))
	case l.TokenEndpoint != "":
		return placed("token_gate: login: token_endpoint is without effect: the embedded issuer is asked without a network", l.line("token_endpoint", ""))
	}
	return nil
}

// checkForeignLogin says what is wrong with a login at an issuer elsewhere.
func (g *Gate) checkForeignLogin(own *offer) error {
	l := g.Login
	wrong := func(word, text string) error { return placed("token_gate: login: "+text, l.line(word, "")) }
	var known []string
	for _, i := range g.Issuer {
		known = append(known, i.Issuer)
	}
	issuer := l.Issuer
	switch {
	case hasPlaceholder(issuer):
		return nil
	case own != nil && issuer == own.config.Issuer:
		return wrong("", issuer+" is the embedded issuer; write `login` alone")
	case issuer == "" && len(known) > 1:
		return wrong("", "which issuer do people sign in to? expected one of "+list(known))
	case issuer == "":
		issuer = known[0]
	case !slices.Contains(known, issuer):
		return wrong("", issuer+" is no issuer of this gate"+didYouMean(issuer, known)+"; add an `issuer` block for it")
	}
	if l.ClientID == "" {
		return wrong("", "client_id is required: what "+issuer+" calls this site")
	}
	if l.TokenEndpoint != "" && !hasPlaceholder(l.TokenEndpoint) {
		if err := remote.CheckURL(l.TokenEndpoint); err != nil {
			return wrong("token_endpoint", "token_endpoint: "+err.Error())
		}
	}
	g.signIn = signIn{client: l.ClientID, scopes: []string{"openid"}, foreign: issuer}
	for _, s := range slices.Concat(g.Scope, l.Scope) {
		if !slices.Contains(g.signIn.scopes, s) {
			g.signIn.scopes = append(g.signIn.scopes, s)
		}
	}
	return nil
}

// ask prepares to ask a foreign issuer.
func (s *signIn) ask(v *Gate) error {
	if s.foreign == "" {
		return nil
	}
	n := slices.IndexFunc(v.Issuer, func(i ForeignIssuer) bool { return i.Issuer == s.foreign })
	caFile := v.Issuer[n].CAFile
	roots, err := message.Authorities(caFile)
	if err == nil {
		s.roots, err = nameOf(caFile)
	}
	if err != nil {
		return placed("token_gate: issuer "+s.foreign+": ca_file: "+err.Error(), v.Issuer[n].Lines.of("ca_file", "", v.Issuer[n].At))
	}
	s.asked = remote.RegisteredConfig{
		Issuer: s.foreign, ClientID: s.client, ClientSecret: v.Login.ClientSecret, TokenEndpoint: v.Login.TokenEndpoint, Roots: roots,
	}
	return nil
}

// outside is an issuer elsewhere, for the client that it knows.
type outside struct {
	asked          *remote.Registered
	issuer, client string
	now            func() time.Time
}

func (o outside) Doors(ctx context.Context, _ string) (login.Doors, error) {
	e, err := o.asked.Endpoints(ctx, o.now())
	if err != nil {
		return login.Doors{}, err
	}
	d := login.Doors{Issuer: o.issuer, Authorize: e.Authorize, SignOut: e.EndOfSession, SaysIssuer: e.SaysIssuer}
	if d.SignOut != "" {
		// RP-Initiated Logout 1.0 §2: the client may name itself. An address to come back
		// to wants an ID token beside it, for which there is no room in the cookie.
		u, err := url.Parse(d.SignOut)
		if err != nil {
			return d, err
		}
		q := u.Query()
		q.Set("client_id", o.client)
		u.RawQuery = q.Encode()
		d.SignOut = u.String()
	}
	return d, nil
}

// unsaid is how long a token counts that does not say so, until it is renewed.
const unsaid = 5 * time.Minute

func (o outside) Earn(ctx context.Context, peer string, form url.Values) (login.Tokens, error) {
	now := o.now()
	g, err := o.asked.Earn(ctx, addressOf(peer), form, now)
	if errors.Is(err, remote.ErrDenied) {
		return login.Tokens{}, errors.Join(login.ErrRefused, err)
	}
	if err != nil {
		return login.Tokens{}, err
	}
	t := login.Tokens{Access: g.Access, Refresh: g.Refresh, ID: strings.Count(g.ID, ".") == 2, Nonce: remote.NonceOf(g.ID), Expires: now.Add(g.Lifetime)}
	if g.Lifetime == 0 {
		if t.Expires = remote.EndOf(g.Access); t.Expires.IsZero() {
			t.Expires = now.Add(unsaid)
		}
	}
	return t, nil
}

func (o outside) Revoke(ctx context.Context, _, refresh string) error {
	err := o.asked.Revoke(ctx, refresh, o.now())
	if errors.Is(err, remote.ErrNoRevocation) {
		return errors.Join(login.ErrUntold, err)
	}
	return err
}

// loginKeyFile is where gates without an issuer of their own keep the key of the
// cookies, for every node that shares the storage.
const loginKeyFile = "token_gate/login.key"

// storage is Caddy's, as far as one file needs it.
type storage interface {
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
	Store(ctx context.Context, key string, value []byte) error
	Load(ctx context.Context, key string) ([]byte, error)
}

// storedKey reads the key, or makes it, once.
func storedKey(ctx context.Context, s storage) ([]byte, error) {
	if key, err := s.Load(ctx, loginKeyFile); !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := s.Lock(ctx, loginKeyFile); err != nil {
		return nil, err
	}
	defer func() { _ = s.Unlock(context.WithoutCancel(ctx), loginKeyFile) }()
	if key, err := s.Load(ctx, loginKeyFile); !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails: it ends the process
	return key, s.Store(ctx, loginKeyFile, key)
}
