package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// The values of the word `answer`.
const (
	answerHeaders = "headers" // nginx, Traefik: the request that is asked about stands in headers
	answerRequest = "request" // Envoy: it is asked about by itself
)

// Reasons of a question that has no answer.
const (
	untrustedProxy oauth.Reason = "untrusted_proxy"
	badOriginal    oauth.Reason = "bad_original_request"
)

// answer judges the request that another proxy asks about, and tells it who the
// caller is instead of handing on. The chain ends at the last gate that answers.
func (g *Gate) answer(w http.ResponseWriter, r *http.Request, run *running, p *passage, next caddyhttp.Handler) error {
	if p.to != nil {
		w = p.to
	}
	p.untell(w.Header())
	p.answered = true
	if p.original == nil {
		o, reason, err := g.original(r, p)
		if err != nil {
			return g.unasked(w, r, p, &gate.Refusal{Status: http.StatusBadRequest, Reason: reason, Cause: err}, next)
		}
		p.original, p.identity = o, http.Header{}
	}
	o := p.original
	selected, err := g.selects(o)
	if err != nil {
		return g.unmatched(w, o, err, g.At)
	}
	p.told = append(p.told, g.gate.Names()...)
	if selected {
		pass, err := g.check(w, run, p, o)
		if err != nil {
			return g.refuse(w, o, err)
		}
		g.passed(o, pass)
		if pass.Claims != nil {
			pass.Apply(p.identity)
			if kept := r.Header["Authorization"]; g.Shadow && p.pass == nil && len(kept) == 1 {
				p.identity["Authorization"] = kept
			}
			p.pass = pass
		}
	}
	return g.agree(w, r, p, next)
}

// unasked answers a question that nobody may ask, or that is none. The shadow says yes,
// with nobody's identity: a trial run is for finding such proxies, too.
func (g *Gate) unasked(w http.ResponseWriter, r *http.Request, p *passage, refusal *gate.Refusal, next caddyhttp.Handler) error {
	if !g.Shadow {
		return g.refuse(w, r, refusal)
	}
	g.refused(r, refusal, "shadowed")
	p.told = append(p.told, g.gate.Names()...)
	return g.agree(w, r, p, next)
}

// agree is the yes of the last gate. One before it hands on first: not each question gets
// to the next, and then the yes is its own. An answer of anybody else, without the
// identity headers, would leave the caller's.
func (g *Gate) agree(w http.ResponseWriter, r *http.Request, p *passage, next caddyhttp.Handler) error {
	h := w.Header()
	for _, name := range p.told {
		h[name] = []string{""} // the caller's own of that name goes where ours is empty
	}
	h["Authorization"] = []string{""} // a proxy that sets what is answered would leave the caller's token
	if kept := r.Header["Authorization"]; p.pass == nil && len(kept) == 1 {
		h["Authorization"] = kept // the backend's own: no gate took it for a token
	}
	maps.Copy(h, p.identity)
	h.Set("Cache-Control", "no-store")
	if g.more {
		p.to, p.answered = w, false
		between := unheard{header: http.Header{}}
		err := next.ServeHTTP(&between, r)
		if p.answered {
			return err
		}
		if no := between.objects(err); no != 0 {
			p.untell(h)
			p.answered = true
			return g.objected(w, r, no, between.header["Www-Authenticate"])
		}
	}
	p.answered = true
	w.WriteHeader(http.StatusOK)
	return nil
}

// untell takes back what the gate before has said.
func (p *passage) untell(h http.Header) {
	for _, name := range p.told {
		delete(h, name)
	}
	delete(h, "Authorization")
}

// original is the request that is asked about, as far as a trusted proxy says it.
// What it cannot have said, or says twice, is refused: a caller may have put it there.
func (g *Gate) original(r *http.Request, p *passage) (*http.Request, oauth.Reason, error) {
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); !trusted {
		return nil, untrustedProxy, errors.New("who asks is not among trusted_proxies")
	}
	if g.Answer == answerRequest {
		return r, "", nil
	}
	method, address, err := asked(r.Header)
	if err != nil {
		return nil, badOriginal, err
	}
	return p.insteadOf(r, method, address), "", nil
}

// isAsked reports whether a request is a proxy's question, as far as nobody has looked
// who sends it: to one about metadata, too, an answer of 200 is a yes.
func (g *Gate) isAsked(r *http.Request) bool {
	return g.Answer == answerRequest || g.Answer == answerHeaders && slices.ContainsFunc(ofQuestion, func(name string) bool { return r.Header[name] != nil })
}

// ofQuestion are the headers that say what a proxy asks about.
var ofQuestion = []string{"X-Original-Url", "X-Original-Method", "X-Forwarded-Uri", "X-Forwarded-Method"}

// asked reads the headers of nginx or of Traefik.
func asked(h http.Header) (method string, address *url.URL, err error) {
	nginx, traefik := h["X-Original-Url"] != nil || h["X-Original-Method"] != nil, h["X-Forwarded-Uri"] != nil || h["X-Forwarded-Method"] != nil
	var text string
	switch {
	case nginx && traefik:
		return "", nil, errors.New("X-Original-URL and X-Forwarded-Uri: one of them is not the proxy's; let it take the other away")
	case nginx:
		method, text, err = two(h, "X-Original-Method", "X-Original-Url")
	case traefik:
		if method, text, err = two(h, "X-Forwarded-Method", "X-Forwarded-Uri"); err != nil {
			return "", nil, err
		}
		var proto, host string
		proto, host, err = two(h, "X-Forwarded-Proto", "X-Forwarded-Host")
		if err == nil && (!strings.HasPrefix(text, "/") || strings.ContainsAny(host, "/?#@")) {
			err = errors.New("X-Forwarded-Uri or X-Forwarded-Host is no part of an address")
		}
		text = proto + "://" + host + text
	default:
		err = errors.New("neither X-Original-URL nor X-Forwarded-Uri says what is asked about")
	}
	if err != nil {
		return "", nil, err
	}
	address, err = originalURL(text)
	return method, address, err
}

// two reads two headers that have to be there once each.
func two(h http.Header, first, second string) (a, b string, err error) {
	for _, name := range []string{first, second} {
		if values := h[name]; len(values) != 1 || values[0] == "" {
			return "", "", fmt.Errorf("%s has to be there once", name)
		}
	}
	return h[first][0], h[second][0], nil
}

// originalURL takes an address that two readers cannot cut at different places.
func originalURL(text string) (*url.URL, error) {
	wrong := errors.New("the original address is not a whole one: scheme, host, path")
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c == 0x7f || c == '#' || c == '\\' {
			return nil, wrong
		}
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || !strings.HasPrefix(u.Path, "/") {
		return nil, wrong
	}
	return undotted(u)
}

// undotted is an address whose host has no dot at its end: for servers it is the same
// host, and for matchers another one.
func undotted(u *url.URL) (*url.URL, error) {
	host, dotted := strings.CutSuffix(u.Hostname(), ".")
	if !dotted {
		return u, nil
	}
	if host == "" || strings.HasSuffix(host, ".") {
		return nil, errors.New("the original address has no host")
	}
	if port := u.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	}
	u.Host = host
	return u, nil
}

// checkAnswer joins gates that answer, and refuses one that would never be asked.
func (g *Gate) checkAnswer() error {
	if name := readsPeer(g.MatcherSetsRaw); g.Answer != "" && name != "" {
		return placed("token_gate: answer: the matcher reads "+name+", which tells of the proxy that asks, whoever the caller is: match by client_ip, and have the proxy say who that is in X-Forwarded-For", g.At)
	}
	if g.Answer != "" {
		if name := g.readsLeftBehind(); name != "" {
			return placed("token_gate: answer: the matcher reads "+name+", which no proxy's question has from the caller, so this gate would judge nobody by it: match by path, host, method, query or other headers", g.At)
		}
		g.warnOfFields()
	}
	if g.Answer == answerHeaders {
		if name := readsQuestion(g.MatcherSetsRaw); name != "" {
			return placed("token_gate: answer: the matcher reads "+name+", which tells of the request by which the proxy asks and not of the one that it asks about: match that one's path, host, method or headers", g.At)
		}
	}
	for _, i := range g.app.directives {
		if g.Answer == answerRequest && i.spot.encloses(g.spot) {
			return placed("token_gate: answer request: the proxy asks about every address, and the directive token_issuer at "+orElse(i.At, "its line")+" answers those of the issuer before this gate is asked, which is a yes; give the gate a site of its own", g.At)
		}
	}
	for _, before := range g.app.gates {
		if before.Answer == "" && g.Answer == "" || !before.spot.encloses(g.spot) {
			continue
		}
		if before.Answer == "" {
			return placed("token_gate: answer: the gate at "+before.At+" stands before this one, and what it answers by itself, its metadata or a page of handle_errors, is a yes to the proxy that asks; write `answer` there, too", g.At)
		}
		if g.Answer == "" {
			return placed("token_gate: the gate at "+before.At+" answers before this one is asked; write `answer` here, too", g.At)
		}
		if before.Answer != g.Answer {
			return placed("token_gate: answer: the gate at "+before.At+" is asked in another way, so one of both takes no question for one; write the same for both", g.At)
		}
		before.more = true
	}
	return nil
}
