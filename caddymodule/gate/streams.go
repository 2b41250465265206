package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Why a stream was ended before its time.
var (
	errStreamExpired = fmt.Errorf("of a stream: %w", token.ErrExpired)
	errStreamsClosed = fmt.Errorf("of a stream: %w", errUnavailable)
)

// Streams are the answers under way that have no end of their own. What lets
// one begin is gone by the next request, but a stream has no next request: so it
// is ended when its token is. It is safe for concurrent use.
type Streams struct {
	mu       sync.Mutex
	byToken  map[string]group // by jti; tokens of the embedded issuer
	byClient map[string]group // the same
	bySignIn map[string]group // by the sign-in of a browser, whoever's token it is
	gone     func(signIn string) bool
	newest   Revoked // whose word counts beside that of a stream's own gate; nil: nobody's
	open     int
	closed   bool
}

// group is streams that end together.
type group map[*stream]struct{}

type stream struct {
	claims *token.Claims
	signIn string // "" where no cookie brought the token
	end    func(error)
}

// NewStreams makes an empty register. gone says whether a browser's sign-in has been
// ended; nil: none ever is.
func NewStreams(gone func(signIn string) bool) *Streams {
	return &Streams{byToken: map[string]group{}, byClient: map[string]group{}, bySignIn: map[string]group{}, gone: gone}
}

// IsStream reports whether a request asks for an answer that may be without end, and for
// nothing else: an upgrade (RFC 9110 §7.8), CONNECT (RFC 8441, RFC 9220), gRPC, the
// streams of its cousin Connect, or server-sent events alone. Who would take events among others is mostly answered with
// another kind, and what it is only its header tells.
func IsStream(r *http.Request) bool {
	if r.Method == http.MethodConnect || len(r.Header["Upgrade"]) > 0 {
		return true
	}
	if kind := r.Header["Content-Type"]; len(kind) > 0 && (hasPrefixFold(kind[0], "application/grpc") || hasPrefixFold(kind[0], "application/connect+")) {
		return true
	}
	return asksForEvents(r.Header["Accept"])
}

// IsEventSource reports whether a request is one that a page's EventSource sends. It comes
// back by itself, but after 200 alone.
func IsEventSource(r *http.Request) bool {
	return r.Method == http.MethodGet && asksForEvents(r.Header["Accept"])
}

func asksForEvents(accepts []string) bool {
	for _, accept := range accepts {
		for kind := range strings.SplitSeq(accept, ",") {
			kind, _, _ = strings.Cut(kind, ";")
			if !strings.EqualFold(trim(kind), "text/event-stream") {
				return false
			}
		}
	}
	return len(accepts) > 0
}

// endless are the kinds of answers that go on as long as there is something to say,
// whatever was asked for.
var endless = []string{
	"text/event-stream", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-seq", "application/stream+json",
	"multipart/x-mixed-replace", "application/grpc", "application/connect+",
}

// IsEndless reports whether an answer of this Content-Type may be without end.
func IsEndless(kind string) bool {
	return slices.ContainsFunc(endless, func(prefix string) bool { return hasPrefixFold(kind, prefix) })
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// Watch calls end, with the reason, when the token a request came in with expires or is
// revoked. finish is called once the request is answered. The reason is a
// [context.Canceled], too: every other end of a request the proxy counts against the
// backend, and tries the next one.
func (g *Gate) Watch(s *Streams, p *Pass, now time.Time, end func(error)) (finish func()) {
	i := g.trusted.issuers[p.Claims.Issuer]
	one := &stream{p.Claims, p.SignIn, func(why error) { end(fmt.Errorf("%w: %w", context.Canceled, why)) }}
	timer := time.AfterFunc(time.Unix(p.Claims.Expires, 0).Add(i.want.Leeway).Sub(now), func() { one.end(errStreamExpired) })
	newest := s.add(one, !i.want.Foreign)
	// What was revoked since the token was checked found no stream to end.
	if i.revoked != nil && (i.revoked.Revoked(p.Claims) || newest != nil && newest.Revoked(p.Claims)) || p.SignIn != "" && s.gone != nil && s.gone(p.SignIn) {
		one.end(errRevoked)
	}
	return func() {
		timer.Stop()
		s.remove(one, !i.want.Foreign)
	}
}

// WhyEnded is the reason that a watch has given, "" where there is none.
func WhyEnded(cause error) oauth.Reason {
	switch {
	case errors.Is(cause, errRevoked):
		return oauth.RevokedToken
	case errors.Is(cause, errStreamExpired):
		return ExpiredToken
	case errors.Is(cause, errStreamsClosed):
		return oauth.StoreUnavailable
	}
	return ""
}

// Lapsed is what a request is told whose watch ended with that cause before its answer.
func (g *Gate) Lapsed(p *Pass, cause error) *Refusal { return g.refusal(p.Claims, cause) }

// add returns who else is to be asked about the stream.
func (s *Streams) add(one *stream, embedded bool) Revoked {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	if one.signIn != "" {
		join(s.bySignIn, one.signIn, one)
	}
	if embedded {
		if s.closed {
			one.end(errStreamsClosed)
		}
		join(s.byToken, one.claims.ID, one)
		join(s.byClient, one.claims.ClientID, one)
	}
	return s.newest
}

func (s *Streams) remove(one *stream, embedded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if one.signIn != "" {
		leave(s.bySignIn, one.signIn, one)
	}
	if embedded {
		leave(s.byToken, one.claims.ID, one)
		leave(s.byClient, one.claims.ClientID, one)
	}
}

func join(groups map[string]group, id string, one *stream) {
	if groups[id] == nil {
		groups[id] = group{}
	}
	groups[id][one] = struct{}{}
}

func leave(groups map[string]group, id string, one *stream) {
	delete(groups[id], one)
	if len(groups[id]) == 0 {
		delete(groups, id)
	}
}

// Open is how many streams are under way.
func (s *Streams) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// EndToken ends the streams of one token of the embedded issuer.
func (s *Streams) EndToken(jti string) {
	for _, one := range s.of(s.byToken, jti) {
		one.end(errRevoked)
	}
}

// EndClient ends the streams of a client's tokens that were issued until then.
func (s *Streams) EndClient(id string, until time.Time) {
	for _, one := range s.of(s.byClient, id) {
		if one.claims.IssuedAt <= until.Unix() {
			one.end(errRevoked)
		}
	}
}

// EndSignIn ends the streams that a browser's sign-in has begun. A token of a foreign
// issuer goes on being good, and is not revoked.
func (s *Streams) EndSignIn(id string) {
	for _, one := range s.of(s.bySignIn, id) {
		one.end(errRevoked)
	}
}

// EndRevoked asks about every stream: after a reload a client may be gone. It asks about
// those that begin later, too, for a request of the configuration before may still be on
// its way.
func (s *Streams) EndRevoked(by Revoked) {
	s.mu.Lock()
	s.newest = by
	s.mu.Unlock()
	for _, one := range s.all() {
		if by.Revoked(one.claims) {
			one.end(errRevoked)
		}
	}
}

// Forget asks nobody else any more: another configuration begins, with clients that the
// newest does not know.
func (s *Streams) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = nil
}

// Close ends every stream of the embedded issuer, and those that come: nobody is
// left who could say that one has to end.
func (s *Streams) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, one := range s.all() {
		one.end(errStreamsClosed)
	}
}

// EndUnknown ends every stream of the embedded issuer while nobody knows what is
// revoked.
func (s *Streams) EndUnknown() {
	for _, one := range s.all() {
		one.end(errStreamsClosed)
	}
}

// of copies a group, so that nothing is ended under the lock.
func (s *Streams) of(groups map[string]group, id string) (all []*stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := range groups[id] {
		all = append(all, one)
	}
	return all
}

func (s *Streams) all() (all []*stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, members := range s.byClient {
		for one := range members {
			all = append(all, one)
		}
	}
	return all
}
