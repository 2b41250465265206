package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

var gateSignIns = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "gatehouse", Subsystem: "gate", Name: "sign_ins_total",
	Help: "Answers of the gates to people who sign in or out: went on, renewed, or why not.",
}, []string{"outcome"})

// read takes our cookies down before anybody else sees the request.
func (p *passage) read(r *http.Request) {
	if brought := login.Read(r.Header); brought.Any() || brought.HasFlow() {
		p.brought = &brought
	}
}

// checkCookie looks for a token where the gate's words say.
func (g *Gate) checkCookie(w http.ResponseWriter, run *running, p *passage, r *http.Request, now time.Time) (*gate.Pass, error) {
	if g.headerFirst(p, r) {
		return g.gate.Check(r, now)
	}
	raw, cause := p.token(w, run, r, now)
	if g.headerAfter(r, cause) {
		return g.gate.Check(r, now)
	}
	p.byCookie = cause == nil
	pass, err := g.gate.CheckCookie(r, raw, cause, now)
	if p.byCookie && gate.IsRevoked(pass, err) && !p.renewed {
		if younger := p.afresh(w, run, r, now); younger != "" {
			pass, err = g.gate.CheckCookie(r, younger, nil, now)
		}
	}
	if err == nil && pass.Claims != nil {
		pass.SignIn = p.signIn
	}
	return pass, err
}

// headerFirst reports whether the cookie is not looked at.
func (g *Gate) headerFirst(p *passage, r *http.Request) bool {
	if g.hasHeader(r) && (g.from == fromHeaderThenCookie || !p.brought.Any()) {
		if _, err := oauth.Bearer(r.Header); !errors.Is(err, oauth.ErrNoToken) || !p.brought.Any() {
			return true
		}
	}
	return g.gate.Excepts(r) // a file for everybody is no occasion to set a cookie
}

// headerAfter reports whether the header counts, for no cookie has a token.
func (g *Gate) headerAfter(r *http.Request, cause error) bool {
	return g.hasHeader(r) && errors.Is(cause, oauth.ErrNoToken)
}

func (g *Gate) hasHeader(r *http.Request) bool {
	return g.from != fromCookie && len(r.Header["Authorization"]) > 0
}

// Why a cookie has no token. All of them are oauth.ErrNoToken.
var (
	errNoCookie  = noToken("the request has no token, and no cookie of a sign-in")
	errPlainText = noToken("a cookie counts over TLS alone; a proxy in front that ends TLS has to be in trusted_proxies and say so in X-Forwarded-Proto")
	errEmbedded  = noToken("a page of another site embeds this, for which no cookie counts")
	errNoSession = noToken("the cookie is none of this site's, or its sign-in was ended")
)

// noToken is oauth.ErrNoToken with a reason, for operators.
func noToken(why string) error { return missing{why} }

type missing struct{ why string }

func (m missing) Error() string { return m.why }

func (missing) Unwrap() error { return oauth.ErrNoToken }

// token is the access token of the cookie, a new one where it is at its end.
func (p *passage) token(w http.ResponseWriter, run *running, r *http.Request, now time.Time) (string, error) {
	s, err := p.session(run, r)
	if err != nil {
		return "", err
	}
	p.signIn = s.SignIn()
	l := run.logins[s.Client]
	if !s.Due(now) || l == nil {
		return s.Access, nil
	}
	next, err := l.Renew(w, fromPeer(r), p.brought, s, now)
	switch {
	case errors.Is(err, login.ErrRefused):
		gateSignIns.WithLabelValues("not_renewed").Inc()
		if !errors.Is(err, login.ErrPerhapsRenewed) {
			p.forget(w)
		}
		return "", oauth.ErrNoToken
	case err != nil:
		return "", silent(l, err)
	}
	if next.Access != s.Access {
		gateSignIns.WithLabelValues("renewed").Inc()
		p.privately(w)
		p.undo = func() { l.Memory.Unclaim(s) }
	}
	return next.Access, nil
}

// afresh is the token that a sign-in gets for one that was revoked, "" where there is
// none. What an operator changes of an account takes its tokens back, and its sign-ins
// go on.
func (p *passage) afresh(w http.ResponseWriter, run *running, r *http.Request, now time.Time) string {
	s, err := p.session(run, r)
	l := run.logins[s.Client]
	if err != nil || l == nil || l.Away {
		return ""
	}
	s = s.Lapsed()
	next, err := l.Renew(w, fromPeer(r), p.brought, s, now)
	if errors.Is(err, login.ErrRefused) {
		gateSignIns.WithLabelValues("not_renewed").Inc()
		p.forget(w)
	}
	if err != nil || next.Access == s.Access {
		return ""
	}
	gateSignIns.WithLabelValues("renewed").Inc()
	p.privately(w)
	p.undo = func() { l.Memory.Unclaim(s) }
	return next.Access
}

// forget has the answer take the cookie away. Out of a cache it would sign out whoever
// gets it.
func (p *passage) forget(w http.ResponseWriter) {
	login.Forget(w, p.brought)
	p.privately(w)
}

// privately keeps the answer out of caches, whoever gives it: a backend, or Caddy where
// this gate or another refuses.
func (p *passage) privately(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", notShared)
	p.renewed = true
	p.undo = func() {}
}

// settle takes the cookie back where an error is answered by somebody else, whose
// page may be for caches: the next request changes it.
func (p *passage) settle(w http.ResponseWriter, err error) error {
	if err != nil && p.undo != nil {
		login.Withdraw(w)
		p.undo()
		p.undo = nil
	}
	return err
}

// silent is about a new token that cannot be had now, and says who is to blame.
func silent(l *login.Login, err error) error {
	if l.Away {
		return fmt.Errorf("%w: %w", gate.ErrSilent, err)
	}
	return fmt.Errorf("%w: %w", gate.ErrNotNow, err)
}

// session is what the cookie has.
func (p *passage) session(run *running, r *http.Request) (s login.Session, err error) {
	does := gate.Changing(r)
	switch {
	case !p.brought.Any():
		return s, errNoCookie
	case isOpen(r):
		return s, errPlainText
	case !login.FromHere(does) && login.Safe(does):
		return s, errEmbedded
	case !login.FromHere(does):
		return s, gate.ErrCrossSite
	}
	s, ok := run.keys.Session(r, p.brought)
	if !ok || run.earned.Ended(&s) {
		return s, errNoSession
	}
	return s, nil
}

// turn answers a person whose request is refused: who is not known is sent to
// sign in, and who may not do this gets a page that says so. false: it is no
// person, or nothing that a sign-in would mend.
func (g *Gate) turn(w http.ResponseWriter, r *http.Request, run *running, p *passage, err error) bool {
	refusal, ok := errors.AsType[*gate.Refusal](err)
	if !ok || refusal.Reason == gate.CrossSite || g.shown(p, r) && !p.byCookie || isOpen(r) || !login.IsNavigation(r) {
		return false // what another site sends, it would send again
	}
	original := originalOf(r)
	to := login.Return(original.URL.RequestURI())
	switch {
	case refusal.Status == http.StatusUnauthorized && login.Changes(original.URL):
		g.refused(r, refusal, "refused")
		w.Header().Set("WWW-Authenticate", refusal.Challenge+g.pointer(r))
		g.signedIn(r, g.login.Remain(w, original))
	case refusal.Status == http.StatusUnauthorized:
		g.refused(r, refusal, "sent_to_sign_in")
		outcome := g.login.Begin(w, original, p.cookies(), login.Wish{Gate: g.number, To: to}, run.now())
		g.signedIn(r, outcome)
	case refusal.Status == http.StatusForbidden:
		g.refused(r, refusal, "refused")
		w.Header().Set("WWW-Authenticate", refusal.Challenge)
		g.login.Forbidden(w, original, to, string(refusal.Reason))
	default:
		return false
	}
	return true
}

// shown reports whether the caller has shown a token, which this gate or the one
// before it has judged. Basic is none: browsers send it by themselves.
func (g *Gate) shown(p *passage, r *http.Request) bool {
	if p.pass != nil || g.from == fromCookie {
		return p.pass != nil
	}
	_, err := oauth.Bearer(r.Header)
	return !errors.Is(err, oauth.ErrNoToken)
}

// serveLogin answers what is below /.gatehouse/ on a site with a login.
func (g *Gate) serveLogin(w http.ResponseWriter, r *http.Request, run *running, p *passage) error {
	original := originalOf(r)
	if isEarly(r) {
		// RFC 8470 §5.2: a code that is shown twice ends what it earned.
		return g.fail(w, r, http.StatusTooEarly, errEarlyData)
	}
	g.signedIn(r, g.login.Serve(w, original, p.cookies(), run.logins, g.number, run.now()))
	return nil
}

func (p *passage) cookies() *login.Brought {
	if p.brought == nil {
		return new(login.Brought)
	}
	return p.brought
}

// signedIn counts an answer to somebody who signs in or out, and logs what went
// wrong.
func (g *Gate) signedIn(r *http.Request, o login.Outcome) {
	gateSignIns.WithLabelValues(orElse(string(o.Reason), "went_on")).Inc()
	if o.Reason == "" {
		return
	}
	fields := []zap.Field{
		zap.String("outcome", "not_signed_in"), zap.String("reason", string(o.Reason)), zap.String("host", r.Host),
		zap.String("peer", peerOf(r)), zapClient(g.login.Client), zapAt(g.At),
	}
	if o.Cause != nil {
		fields = append(fields, zap.NamedError("cause", o.Cause))
	}
	g.logger.Info("gate sign-in", fields...)
}

// isOurs reports whether a request is for what a login answers itself, wherever a
// rewrite has sent it since.
func isOurs(r *http.Request) bool {
	return strings.HasPrefix(sentTo(r).Path, login.Paths) && !isOpen(r)
}

func sentTo(r *http.Request) *url.URL {
	if o, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && o.URL != nil {
		return o.URL
	}
	return r.URL
}

// originalOf is the request as the browser has sent it, and the address that it
// comes from.
func originalOf(r *http.Request) *http.Request {
	inner := fromPeer(r)
	inner.URL = sentTo(r)
	return inner
}

func fromPeer(r *http.Request) *http.Request {
	inner := *r
	inner.RemoteAddr = peerOf(r)
	return &inner
}

// gateOf is a gate of this login by its number. One that another configuration had is
// one that this one has.
func (a *App) gateOf(l *login.Login, n int) *Gate {
	if n < 0 || n >= len(a.gates) || a.gates[n].login != l {
		for n = 0; a.gates[n].login != l; n++ {
			continue
		}
	}
	return a.gates[n]
}

// judgeFor says whether a gate knows a caller by a token of this login. now is the time
// by which tokens count.
func (a *App) judgeFor(l *login.Login, now func() time.Time) func(*http.Request, int, string, string) bool {
	return func(r *http.Request, n int, to, access string) bool {
		u, err := url.ParseRequestURI(to)
		if err != nil {
			return false
		}
		probe := *r
		probe.URL, probe.Method = u, http.MethodGet
		pass, err := a.gateOf(l, n).gate.CheckCookie(&probe, access, nil, now())
		if pass != nil && pass.Lapsed != nil {
			return false // nobody needs a token there, and this one is none
		}
		refusal, refused := errors.AsType[*gate.Refusal](err)
		return !refused || refusal.Status != http.StatusUnauthorized
	}
}

const notShared = "private, no-store"

// oneBrowser keeps an answer that sets a cookie or takes it away out of caches: whoever gets it
// from there would be somebody else.
type oneBrowser struct {
	*caddyhttp.ResponseWriterWrapper
	begun bool
}

func unshared(w http.ResponseWriter) http.ResponseWriter {
	return &oneBrowser{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
}

// WriteHeader is the last moment for it.
func (w *oneBrowser) WriteHeader(status int) {
	if !w.begun && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		w.begun = true
		w.Header().Set("Cache-Control", notShared)
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// ReadFrom begins the answer, too.
func (w *oneBrowser) ReadFrom(r io.Reader) (int64, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// Write begins the answer, too.
func (w *oneBrowser) Write(b []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriterWrapper.Write(b)
}
