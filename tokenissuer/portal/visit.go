package portal

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// visit is one request for a page on its way to the answer.
type visit struct {
	p   *Portal
	w   http.ResponseWriter
	r   *http.Request
	now time.Time

	browser  browser
	session  store.Session
	signedIn bool
	repeated bool       // the form has done its work before
	form     oauth.Form // of the body for POST, of the query otherwise

	words   *words
	zone    *time.Location // nil: UTC
	lang    string         // as the person chose it, "" where nobody did
	state   string         // p_state
	pending pending
	wrong   *problem      // with the form before, which led here
	before  turned        // that form
	method  string        // the source that the page is about, where the person chose it
	relies  []store.Write // what step has seen that must be so when the code is written
}

// Serve answers every path below /portal, errors too. It returns only what could
// not be answered.
func (p *Portal) Serve(w http.ResponseWriter, r *http.Request, now time.Time) error {
	for _, a := range []*asset{p.style, p.logo} {
		if a != nil && a.path == r.URL.Path && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			a.serve(w, r)
			return nil
		}
	}
	v := p.visit(w, r, now)
	if err := v.serve(); err != nil {
		return v.refuse(err)
	}
	return nil
}

func (p *Portal) visit(w http.ResponseWriter, r *http.Request, now time.Time) *visit {
	return &visit{p: p, w: w, r: r, now: now, words: p.languages.pick("", nil, r)}
}

func (v *visit) serve() error {
	page, found := routes[v.r.URL.Path]
	if !found {
		return oauth.Fail(oauth.NotFound, oauth.UnknownEndpoint)
	}
	handler := page.get
	switch v.r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		handler = page.post
	default:
		handler = nil
	}
	if handler == nil {
		v.w.Header().Set("Allow", page.methods())
		return oauth.Fail(oauth.InvalidRequest, oauth.MethodNotAllowed)
	}
	if err := v.read(page); err != nil {
		return err
	}
	return handler(v)
}

// resume opens the authorization request that the page is about, which must not
// be used up.
func (v *visit) resume() error {
	if err := v.reopen(); err != nil {
		return err
	}
	at, err := v.usedAt()
	if err == nil && !at.IsZero() {
		err = oauth.Fail(oauth.InvalidRequest, UsedState)
	}
	return err
}

// reopen is resume for the pages after the last form: for a moment they repeat
// the answer, to a person who pressed twice.
func (v *visit) reopen() error {
	raw := v.form.Get("p_state")
	x, err := v.p.open(v.browser, v.now, raw)
	if err != nil {
		if e := oauth.AsError(err); e.Reason == ExpiredState && x.Request.Client == "" {
			err = oauth.Fail(oauth.InvalidRequest, ExpiredHere) // no app waits for it
		}
		return err
	}
	v.state, v.pending = raw, x
	v.words = v.p.languages.pick(v.lang, x.Request.Locales, v.r)
	return nil
}

// reseal goes on with a changed p_state.
func (v *visit) reseal() (err error) {
	v.state, err = v.p.seal(v.browser, v.pending)
	return err
}

// app is the client of the authorization request; nil where a person signs in at
// the portal itself.
func (v *visit) app() (*client.Client, error) {
	id := v.pending.Request.Client
	if id == "" {
		return nil, nil
	}
	c, ok := v.p.o.Clients(id)
	if !ok || c.Disabled {
		return nil, oauth.Fail(oauth.InvalidRequest, UnknownApp)
	}
	return c, nil
}

func appName(c *client.Client) string {
	switch {
	case c == nil:
		return ""
	case c.Name != "":
		return c.Name
	}
	return c.ID
}

// step judges the authorization request as it stands now.
func (v *visit) step() (step, string, error) {
	app, err := v.app()
	if err != nil {
		return 0, "", err
	}
	f := facts{
		request: v.pending.Request, denied: v.pending.Denied,
		signedIn: v.signedIn, session: v.session, sources: v.p.sourcesOf(app), trusted: app == nil || app.FirstParty,
	}
	v.relies = nil
	if v.signedIn && !f.trusted {
		// Whoever takes consent back at this moment must not find a code later.
		v.relies = []store.Write{store.RequireConsent{Account: v.session.Account, Client: app.ID, Scopes: v.pending.Request.Scopes}}
		if f.given, err = v.p.consentTo(v.r.Context(), v.session.Account, app.ID); err != nil {
			return 0, "", err
		}
	}
	s, code := next(f)
	return s, code, nil
}

// from is the address of the other side, read as the token endpoint reads it:
// the lock-out knows people by it.
func (v *visit) from() netip.Addr {
	if a, err := netip.ParseAddrPort(v.r.RemoteAddr); err == nil {
		return a.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.Trim(v.r.RemoteAddr, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
