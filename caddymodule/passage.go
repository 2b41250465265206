package caddymodule

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
)

// passage is what the gates of a route know of one request.
type passage struct {
	pass     *gate.Pass
	brought  *login.Brought // our cookies, which nobody behind gets to see
	byCookie bool           // the token came in one
	signIn   string         // of that one
	watched  bool           // the answer ends with the token, if it is a stream
	renewed  bool           // the answer sets it anew or takes it away
	undo     func()         // nil where it does not; else has the next one do so

	// Of a request that another proxy asks about:
	original *http.Request
	identity http.Header         // what it is told
	told     []string            // the headers of which it is told at all
	to       http.ResponseWriter // where, once a gate has handed it on
	answered bool                // by the gate behind
}

// passageVar is the request variable that holds it.
const passageVar = "token_gate"

// userPrefix is of the placeholders that tell who passed.
const userPrefix = "http.auth.user."

// placeholder answers for the whole prefix: a placeholder that nobody knows
// would reach the backend as literal text.
func (p *passage) placeholder(key string) (any, bool) {
	name, ours := strings.CutPrefix(key, userPrefix)
	switch {
	case !ours:
		return nil, false
	case p.pass == nil:
		return "", true
	case name == "id":
		name = "sub"
	}
	return p.pass.Text(name), true
}

// ServeHTTP strips, judges, and hands on with the caller's identity.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	run, err := g.app.lease(r.Context())
	if err != nil {
		bare(r, g.trial)
		if p, ok := caddyhttp.GetVar(r.Context(), passageVar).(*passage); ok && p.to != nil {
			w, p.answered = p.to, true
		}
		return g.unavailable(w, r, err)
	}
	if strings.HasPrefix(r.URL.Path, wellKnown) && !g.isAsked(r) && g.app.described(w, r, g.own) {
		run.release()
		return nil
	}
	p := g.passageOf(r, run)
	switch {
	case r.URL.Opaque != "" && !g.Shadow:
		run.release()
		if p.to != nil {
			w, p.answered = p.to, true
			p.untell(w.Header())
		}
		return p.settle(w, g.refuse(w, r, inOnePiece))
	case g.Answer != "":
		defer run.release()
		return g.answer(w, r, run, p, next)
	case g.login != nil && isOurs(r):
		defer run.release()
		return g.serveLogin(w, r, run, p)
	}
	selected, err := g.selects(r)
	if g.asBody {
		run.strip.Trailers(r) // of a body that a matcher has read to its end
	}
	if err != nil || !selected {
		run.release()
		if err != nil {
			return g.unmatched(w, r, err, g.At)
		}
		return next.ServeHTTP(w, r)
	}
	pass, err := g.check(w, run, p, r)
	run.release() // the backend's time is not the state's
	if err != nil {
		if g.login != nil && g.turn(w, r, run, p, err) {
			return nil
		}
		return p.settle(w, g.refuse(w, r, err))
	}
	return p.settle(w, g.handOn(w, r, run, p, pass, next))
}

// passageOf is what the gates of a route know of a request; the first of them takes
// out what could pass for our word, before anything can answer, a matcher included.
func (g *Gate) passageOf(r *http.Request, run *running) *passage {
	if p, ok := caddyhttp.GetVar(r.Context(), passageVar).(*passage); ok {
		return p
	}
	p := new(passage)
	if run.keys != nil {
		p.read(r)
	}
	g.strip(r, run)
	caddyhttp.SetVar(r.Context(), passageVar, p)
	r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Map(p.placeholder)
	return p
}

// strip strips a request. What a question is about stays in it.
func (g *Gate) strip(r *http.Request, run *running) {
	about := r.Header["X-Original-Url"]
	run.strip.Strip(r)
	if g.Answer != "" && about != nil {
		r.Header["X-Original-Url"] = about
	}
}

// handOn lets a request go on, with the identity of whoever sent it.
func (g *Gate) handOn(w http.ResponseWriter, r *http.Request, run *running, p *passage, pass *gate.Pass, next caddyhttp.Handler) error {
	if p.renewed {
		w, p.renewed = unshared(w), false
	}
	g.passed(r, pass)
	if pass.Claims == nil {
		return next.ServeHTTP(w, r)
	}
	pass.Apply(r.Header)
	if p.pass == nil {
		// What basic_auth or the like has written would be answered instead of placeholder.
		r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).DeleteByPrefix(userPrefix)
	}
	p.pass = pass
	if p.watched || g.Shadow { // by the gate before; in the shadow nothing is ended
		return next.ServeHTTP(w, r)
	}
	p.watched = true
	defer func() { p.watched = false }() // what answers an error comes after it, and may be a stream
	if p.byCookie {
		pass.SignIn = p.signIn // a gate in the shadow may have read it
	}
	return g.watch(w, r, run, p, next)
}

// check judges by this gate's rules what an earlier gate may have judged by its
// own, and taken the token from.
func (g *Gate) check(w http.ResponseWriter, run *running, p *passage, r *http.Request) (*gate.Pass, error) {
	now := run.now()
	switch {
	case p.pass != nil:
		return g.gate.Recheck(p.pass, r, now)
	case g.from != fromHeader:
		return g.checkCookie(w, run, p, r, now)
	}
	return g.gate.Check(r, now)
}

// refuse turns a refusal into an error, which handle_errors can answer. What proves the caller is none of its business.
func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	refusal, ok := errors.AsType[*gate.Refusal](err)
	if !ok {
		return g.fail(w, r, http.StatusInternalServerError, err)
	}
	g.refused(r, refusal, "refused")
	gate.Withhold(r.Header)
	g.challenge(w.Header(), r, refusal)
	return g.fail(w, r, refusal.Status, refusal)
}

// challenge tells who is refused what to come back with, or when.
func (g *Gate) challenge(h http.Header, r *http.Request, refusal *gate.Refusal) {
	switch {
	case refusal.Status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", refusal.Challenge+g.pointer(r))
	case refusal.Challenge != "":
		h.Set("WWW-Authenticate", refusal.Challenge)
	case refusal.Status == http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
}

var _ caddyhttp.MiddlewareHandler = (*Gate)(nil)
