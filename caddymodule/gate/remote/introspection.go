package remote

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"hash/maphash"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// IntrospectionConfig says who is asked what opaque tokens stand for (RFC 7662).
type IntrospectionConfig struct {
	// Issuer is the identifier of the issuer.
	Issuer string

	// URL is its introspection endpoint.
	URL string

	// ClientID and ClientSecret are who asks, by Basic authentication.
	ClientID, ClientSecret string

	// Roots vouch for the endpoint's certificate. Default: the system's.
	Roots *x509.CertPool

	// Observe is told of every question, from many goroutines.
	Observe func(Asked)

	// Timeout is how long a question may take, and so a request wait. Default 3s.
	Timeout time.Duration
}

// String hides the secret.
func (c IntrospectionConfig) String() string { return "introspection by " + c.Issuer }

// GoString hides the secret from %#v.
func (c IntrospectionConfig) GoString() string { return c.String() }

// Asked is how one question ended.
type Asked struct {
	Issuer string
	Result Result
	Err    error // with a Result that is a failure
	Took   time.Duration
	// Down: with this question it has stopped answering. Back: it has begun again.
	Down, Back bool
}

// Answer is a token that the issuer says is good.
type Answer struct {
	Claims *token.Claims
	Until  time.Time // when it is to be asked about again
}

// Introspection asks one issuer about opaque tokens, each at a time once, and no
// more often than strangers may bring about.
type Introspection struct {
	config        IntrospectionConfig
	client        *http.Client
	authorization string
	unfit         negatives
	proven, new   chan struct{} // room for questions side by side

	mu    sync.Mutex
	calls map[token.Digest]*call
	guard
}

// call is one question, for all who ask it meanwhile.
type call struct {
	from   netip.Addr    // whose request began it
	number uint64        // of the question
	done   chan struct{} // closed when the rest is there
	answer Answer
	err    error
}

const (
	goodFor    = 10 * time.Second // an answer counts for, when the token is good
	callsMost  = 256              // that wait to be asked or answered
	unseenMost = 192              // of those, about tokens that nobody has seen to be good
	answerMost = 16 << 10         // bytes of an answer
)

// NewIntrospection reads the configuration. It does not connect.
func NewIntrospection(c IntrospectionConfig) (*Introspection, error) {
	u, err := parseURL(c.URL)
	if err != nil {
		return nil, err
	}
	if c.ClientID == "" || c.ClientSecret == "" {
		return nil, errors.New("client_id and client_secret are required")
	}
	if c.Timeout <= 0 {
		c.Timeout = 3 * time.Second
	}
	// RFC 6749 §2.3.1: both are form-urlencoded before they are joined.
	credentials := url.QueryEscape(c.ClientID) + ":" + url.QueryEscape(c.ClientSecret)
	return &Introspection{
		config: c, client: newClient(c.Roots, u.Scheme == "http"),
		authorization: "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials)),
		proven:        make(chan struct{}, sideBySide/2), new: make(chan struct{}, sideBySide/2),
		calls: map[token.Digest]*call{}, guard: guard{allowance: burst, strangers: strangers{seed: maphash.MakeSeed()}},
	}, nil
}

// Close lets the kept connections go.
func (i *Introspection) Close() { i.client.CloseIdleConnections() }

// Introspect says what a token stands for. An error in whose chain is a Failure
// says that nobody can say now; another, that the token is no good. From is the
// client's address; the zero Addr where nobody knows it. Proven are those that were
// good before: strangers cannot have many, so what strangers do with others does not
// keep them out.
func (i *Introspection) Introspect(ctx context.Context, raw string, digest token.Digest, from netip.Addr, proven bool, now time.Time) (Answer, error) {
	if err := i.unfit.find(digest, now); err != nil {
		return Answer{}, err
	}
	c, err := i.join(raw, digest, from, proven, now)
	if err != nil {
		i.observe(Asked{Result: Refused, Err: err})
		return Answer{}, err
	}
	select {
	case <-c.done:
		return c.answer, c.err
	case <-ctx.Done():
		return Answer{}, network(ctx.Err())
	}
}

// join finds the question about a token, or begins it.
func (i *Introspection) join(raw string, digest token.Digest, from netip.Addr, proven bool, now time.Time) (*call, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if c := i.calls[digest]; c != nil {
		return c, nil
	}
	if len(i.calls) == callsMost {
		return nil, fail(Refused, "too many tokens are being asked about")
	}
	if err := i.admit(from, proven, now); err != nil {
		return nil, err
	}
	c := &call{done: make(chan struct{}), from: from, number: i.questions}
	i.calls[digest] = c
	// Not with the request's context: others may wait for the same answer.
	go i.ask(c, raw, digest, proven, now)
	return c, nil
}

// ask puts one question and tells everybody who waits for it.
func (i *Introspection) ask(c *call, raw string, digest token.Digest, proven bool, now time.Time) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), i.config.Timeout)
	defer cancel()
	c.answer, c.err = i.post(ctx, raw, proven, now)
	now = now.Add(time.Since(began))
	e := Asked{Result: OK, Took: time.Since(began)}
	failure, failed := errors.AsType[*Failure](c.err)
	switch {
	case failed:
		e.Result, e.Err = failure.Result, failure
	case c.err != nil:
		e.Result = Inactive
		i.unfit.put(digest, c.err, now)
	default:
		c.answer.Until = now.Add(goodFor)
	}
	i.mu.Lock()
	delete(i.calls, digest)
	if failed && !proven && failure.ofRequest() {
		i.dismiss()
	} else {
		e.Down, e.Back = i.settle(c.number, e.Result, c.from, proven, now)
	}
	i.mu.Unlock()
	i.observe(e) // before those who wait go on: what they find in a log then explains their answer
	close(c.done)
}

// post is the request and what its answer says.
func (i *Introspection) post(ctx context.Context, raw string, proven bool, now time.Time) (Answer, error) {
	room := i.new
	if proven {
		room = i.proven
	}
	select {
	case room <- struct{}{}:
		defer func() { <-room }()
	case <-ctx.Done():
		return Answer{}, fail(TimedOut, "no answer in time to those asked before")
	}
	form := url.Values{"token": {raw}, "token_type_hint": {"access_token"}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, i.config.URL, strings.NewReader(form))
	if err != nil {
		return Answer{}, fail(Malformed, "its address is no URL")
	}
	r.Header.Set("Authorization", i.authorization)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	text, _, err := read(i.client, r, answerMost)
	if err != nil {
		if f, ok := errors.AsType[*Failure](err); ok && (f.Status == http.StatusUnauthorized || f.Status == http.StatusForbidden) {
			f.words += ": look at client_id and client_secret"
		}
		return Answer{}, err
	}
	claims, err := token.ReadIntrospection(text, i.config.Issuer, now)
	if errors.Is(err, token.ErrAnswer) {
		return Answer{}, &Failure{Result: Malformed, words: err.Error()}
	}
	if err == nil && claims.Issuer != i.config.Issuer {
		err = token.ErrIssuer
	}
	return Answer{Claims: claims}, err
}

func (i *Introspection) observe(e Asked) {
	if e.Issuer = i.config.Issuer; i.config.Observe != nil {
		i.config.Observe(e)
	}
}
