package remote

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// RegisteredConfig is a client that an issuer elsewhere knows.
type RegisteredConfig struct {
	// Issuer is the identifier of the issuer.
	Issuer string

	// ClientID, and ClientSecret where it has one.
	ClientID, ClientSecret string

	// TokenEndpoint, where it is not on the issuer's own host.
	TokenEndpoint string

	// Roots vouch for the issuer's certificate. Default: the system's.
	Roots *x509.CertPool
}

// String hides the secret.
func (c RegisteredConfig) String() string { return "client " + c.ClientID + " of " + c.Issuer }

// GoString hides the secret from %#v.
func (c RegisteredConfig) GoString() string { return c.String() }

// Registered asks an issuer for tokens, for people who have signed in there.
type Registered struct {
	config RegisteredConfig
	client *http.Client

	// Strangers can have any code asked about, and refresh tokens are people's: the
	// ones do not stand in the others' way.
	codes, others chan struct{}
	showing       sync.Mutex
	strangers     strangers // and the addresses of whom codes were no good

	document document
	untaken  atomic.Pointer[untaken]
}

// Granted is an answer of the token endpoint.
type Granted struct {
	Access, Refresh, ID string
	Lifetime            time.Duration // 0: it does not say
}

// String hides the tokens.
func (Granted) String() string { return "granted tokens" }

// GoString hides them from %#v.
func (g Granted) GoString() string { return g.String() }

const (
	askingMost  = 8 * time.Second // one question, with the document where that is needed
	grantedMost = 64 << 10        // bytes of an answer
)

// NewRegistered reads the configuration. It does not connect.
func NewRegistered(c RegisteredConfig) (*Registered, error) {
	u, err := parseURL(c.Issuer)
	if err != nil {
		return nil, err
	}
	return &Registered{
		strangers: strangers{seed: maphash.MakeSeed()},
		config:    c, client: newClient(c.Roots, u.Scheme == "http"),
		codes: make(chan struct{}, sideBySide/2), others: make(chan struct{}, sideBySide/2),
	}, nil
}

// Close lets idle connections go.
func (r *Registered) Close() { r.client.CloseIdleConnections() }

// Earn is a token request. An error in whose chain is ErrDenied is the issuer's
// no, another says that it could not be asked. from is the client's address; an
// address whose codes are no good is not asked for again and again, for the issuer
// counts them as this client's.
func (r *Registered) Earn(ctx context.Context, from netip.Addr, form url.Values, now time.Time) (g Granted, err error) {
	e, err := r.Endpoints(ctx, now)
	if err != nil {
		return g, err
	}
	if form.Has("code") && !r.admits(from, now) {
		return g, fail(Refused, "token request: too many codes that were no good came from one address")
	}
	if err := r.stillUntaken(form, now); err != nil {
		return g, err
	}
	text, err := r.post(ctx, e.token, e.basic, form)
	err = r.understand(err, form, now)
	if form.Has("code") && !errors.Is(err, ErrDenied) {
		r.showing.Lock()
		r.strangers.giveBack(from)
		r.showing.Unlock()
	}
	if err != nil {
		return g, fmt.Errorf("token request: %w", err)
	}
	var answer struct {
		Access  string      `json:"access_token"`
		Refresh string      `json:"refresh_token"`
		ID      string      `json:"id_token"`
		Type    string      `json:"token_type"`
		Expires json.Number `json:"expires_in"`
	}
	// RFC 6749 §7.1: a token of a type that is not understood must not be used.
	if json.Unmarshal(text, &answer) != nil || answer.Access == "" || !strings.EqualFold(answer.Type, "Bearer") {
		return g, fail(Malformed, "token request: no answer of RFC 6749 §5.1 with a bearer token")
	}
	seconds, _ := answer.Expires.Int64() // 0 where it is absent
	return Granted{answer.Access, answer.Refresh, answer.ID, time.Duration(min(max(0, seconds), 1<<31)) * time.Second}, nil
}

// admits takes one from an address, until its code turns out to be good.
func (r *Registered) admits(from netip.Addr, now time.Time) bool {
	r.showing.Lock()
	defer r.showing.Unlock()
	if !r.strangers.may(from, now) {
		return false
	}
	r.strangers.charge(from, now)
	return true
}

// ErrNoRevocation is of an issuer that cannot be told that a token is to end.
var ErrNoRevocation = errors.New("the issuer has no revocation endpoint on its host")

// Revoke ends a refresh token (RFC 7009).
func (r *Registered) Revoke(ctx context.Context, refresh string, now time.Time) error {
	e, err := r.Endpoints(ctx, now)
	switch {
	case err != nil:
		return err
	case e.revoke == "":
		return ErrNoRevocation
	}
	if _, err = r.post(ctx, e.revoke, e.basic, url.Values{"token": {refresh}, "token_type_hint": {"refresh_token"}}); err != nil {
		return fmt.Errorf("revocation: %w", err)
	}
	return nil
}

func (r *Registered) post(ctx context.Context, address string, basic bool, form url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askingMost)
	defer cancel()
	room := r.others
	if form.Has("code") {
		room = r.codes
	}
	select {
	case room <- struct{}{}:
		defer func() { <-room }()
	case <-ctx.Done():
		return nil, fail(TimedOut, "no answer in time to those asked before")
	}
	form.Set("client_id", r.config.ClientID)
	if r.config.ClientSecret != "" && basic {
		form.Del("client_id")
	} else if r.config.ClientSecret != "" {
		form.Set("client_secret", r.config.ClientSecret)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fail(Malformed, "its address is no URL")
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	q.Header.Set("Accept", "application/json")
	if r.config.ClientSecret != "" && basic {
		// RFC 6749 §2.3.1: both are form-urlencoded before they are joined.
		both := url.QueryEscape(r.config.ClientID) + ":" + url.QueryEscape(r.config.ClientSecret)
		q.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(both)))
	}
	text, _, err := read(r.client, q, grantedMost)
	return text, err
}

// NonceOf is the nonce of an ID token that came straight from the issuer: TLS says
// whose it is (OpenID Connect Core §3.1.3.7, 6). "" where it has none.
func NonceOf(id string) string { return textIn(id, "nonce") }

// EndOf is when a token ends that says so itself; the zero time where it does not.
func EndOf(access string) time.Time {
	var claims struct {
		Expires json.Number `json:"exp"`
	}
	if json.Unmarshal(payloadOf(access), &claims) != nil {
		return time.Time{}
	}
	seconds, err := claims.Expires.Int64()
	if err != nil || seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

func textIn(jwt, claim string) (s string) {
	var claims map[string]json.RawMessage
	if json.Unmarshal(payloadOf(jwt), &claims) == nil {
		_ = json.Unmarshal(claims[claim], &s) // "" where it is no text
	}
	return s
}

func payloadOf(jwt string) []byte {
	_, rest, _ := strings.Cut(jwt, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return nil
	}
	return text
}
