package remote

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Endpoints are an issuer's, of its document.
type Endpoints struct {
	Authorize string // where browsers are sent, so it may be on another host
	EndOfSession,
	token, revoke string
	basic bool // the secret goes into the Authorization field

	SaysIssuer bool // every answer to a browser has `iss` (RFC 9207 §3)
}

// document is what is known of an issuer's.
type document struct {
	sync.Mutex
	known   Endpoints     // none yet where Authorize is ""
	until   time.Time     // then one is fetched
	fetch   chan struct{} // is closed when the fetch under way ends; nil where none is
	failure error         // of the last fetch, where nothing is known
}

const (
	documentFor   = time.Hour   // a document counts, and longer while no other can be had
	documentAgain = time.Minute // after a fetch that failed
	documentFirst = time.Second // where nothing is known: strangers may be asking for it
)

// Endpoints are the issuer's. What is known is answered at once, and fetched anew
// beside it once an hour; the first wait for the first. The error is a *Failure.
func (r *Registered) Endpoints(ctx context.Context, now time.Time) (Endpoints, error) {
	d := &r.document
	d.Lock()
	if d.fetch == nil && now.After(d.until) {
		d.fetch = make(chan struct{})
		go r.fetch(context.WithoutCancel(ctx), now)
	}
	known, fetch, failure := d.known, d.fetch, d.failure
	d.Unlock()
	switch {
	case known.Authorize != "":
		return known, nil
	case fetch == nil:
		return known, failure
	}
	select {
	case <-fetch:
	case <-ctx.Done():
		return known, network(ctx.Err())
	}
	d.Lock()
	defer d.Unlock()
	return d.known, d.failure
}

// fetch is for whoever waits, so it ends with nobody's request.
func (r *Registered) fetch(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, askingMost)
	defer cancel()
	began := time.Now()
	members, issuer, err := metadataOf(ctx, r.client, r.config.Issuer)
	var e Endpoints
	if err == nil {
		e, err = r.read(members, issuer)
	}
	now = now.Add(time.Since(began))
	d := &r.document
	d.Lock()
	defer d.Unlock()
	switch {
	case err == nil:
		d.known, d.until, d.failure = e, now.Add(documentFor), nil
	case d.known.Authorize != "":
		d.until = now.Add(documentAgain) // what was known goes on counting
	default:
		d.failure, d.until = err, now.Add(documentFirst)
	}
	close(d.fetch)
	d.fetch = nil
}

// read takes the endpoints of a document. The client's secret goes to the issuer's
// host, or to where the operator says.
func (r *Registered) read(members map[string]json.RawMessage, issuer *url.URL) (e Endpoints, err error) {
	text := func(name string) (s string) {
		_ = json.Unmarshal(members[name], &s) // "" is absent
		return s
	}
	e = Endpoints{
		Authorize: text("authorization_endpoint"), EndOfSession: text("end_session_endpoint"),
		token: text("token_endpoint"), revoke: text("revocation_endpoint"),
	}
	if r.config.TokenEndpoint != "" {
		e.token = r.config.TokenEndpoint
	}
	if _, err := parseURL(e.Authorize); err != nil {
		return e, fail(Malformed, "discovery: authorization_endpoint: %s", err)
	}
	at, err := parseURL(e.token)
	switch {
	case err != nil:
		return e, fail(Malformed, "discovery: token_endpoint: %s", err)
	case r.config.TokenEndpoint == "" && !sameHost(at, issuer):
		return e, fail(Elsewhere, "discovery: the token endpoint is on another host, %q; if that is right, name the address as token_endpoint", at.Host)
	}
	if to, err := parseURL(e.revoke); err != nil || !sameHost(to, at) {
		e.revoke = ""
	}
	if _, err := parseURL(e.EndOfSession); err != nil {
		e.EndOfSession = ""
	}
	_ = json.Unmarshal(members["authorization_response_iss_parameter_supported"], &e.SaysIssuer) // false where it is absent
	// OpenID Connect Discovery §3: client_secret_basic where nothing is said.
	var methods []string
	_ = json.Unmarshal(members["token_endpoint_auth_methods_supported"], &methods)
	e.basic = len(methods) == 0 || slices.Contains(methods, "client_secret_basic")
	return e, nil
}
