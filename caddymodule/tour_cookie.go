package caddymodule

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// browse makes a request one of a person's browser: who reads a page of the site, or
// sends a form of it.
func (q question) browse(r *http.Request) {
	cookie := q.Cookie
	if name, value, found := strings.Cut(cookie, ":"); found && strings.EqualFold(strings.TrimSpace(name), "Cookie") {
		cookie = strings.TrimSpace(value) // as it was copied
	}
	r.Header.Set("Cookie", cookie)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
}

// begin is what the first gate on the way does, whichever it is.
func (t *tour) begin(g *Gate, run *running) {
	if t.passage != nil {
		return
	}
	t.passage = new(passage)
	if run.keys != nil {
		t.passage.read(t.r)
	}
	g.strip(t.r, run)
	t.repl.Map(t.passage.placeholder)
	caddyhttp.SetVar(t.r.Context(), passageVar, t.passage)
}

// explainBy asks a gate for its reasons, with the token that it would judge by. The
// cookie's is taken as it is: a new one would use the old one's refresh token up.
func (t *tour) explainBy(g *Gate, run *running, r *http.Request, m *met) *gate.Explanation {
	p := t.passage
	if p.pass != nil {
		return g.gate.ExplainAgain(p.pass, r, run.now())
	}
	if g.from == fromHeader {
		return g.gate.Explain(r, run.now())
	}
	says := t.explainCookie(g, run, r, m)
	if says.Pass == nil && g.login != nil {
		switch status := says.Refusal.Status; {
		case status == http.StatusUnauthorized && login.Changes(originalOf(r).URL):
			m.note("who navigates here in a browser gets a page that says to sign in first: no sign-in leads to an address that may change something")
		case status == http.StatusUnauthorized:
			m.note("who navigates here in a browser is sent to sign in to client " + g.login.Client)
		case status == http.StatusForbidden:
			m.note("who navigates here in a browser, signed in by a cookie, gets a page that says so")
		}
	}
	return says
}

func (t *tour) explainCookie(g *Gate, run *running, r *http.Request, m *met) *gate.Explanation {
	p := t.passage
	if len(r.Header["Authorization"]) > 0 && g.from == fromCookie {
		m.note("this gate takes a token from a cookie alone (`token_from cookie`), and not from the Authorization field")
	}
	if g.headerFirst(p, r) {
		return g.gate.Explain(r, run.now())
	}
	s, cause := p.session(run, r)
	if g.headerAfter(r, cause) {
		return g.gate.Explain(r, run.now())
	}
	if cause == nil {
		m.note("the token is from the cookie of a sign-in")
	}
	if cause == nil && s.Due(run.now()) && run.logins[s.Client] != nil {
		m.note("it is at its end: a browser's request would get a new one first, which is not tried here")
	}
	if errors.Is(cause, oauth.ErrNoToken) && p.brought.Any() {
		m.note("there is a cookie, and no token in it")
	}
	return g.gate.ExplainCookie(r, s.Access, cause, run.now())
}

func (m *met) note(text string) { m.notes = append(m.notes, text) }
