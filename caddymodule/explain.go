package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

func init() { caddy.RegisterModule(Explain{}) }

// Explain answers POST /token_gate/explain on Caddy's admin endpoint: why a request
// would be let through or refused. It is what `gatehouse gate explain` asks.
type Explain struct{}

// CaddyModule returns the Caddy module information.
func (Explain) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.token_gate", New: func() caddy.Module { return new(Explain) }}
}

const explainPath = "/token_gate/explain"

// Routes returns the one route.
func (Explain) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "POST " + explainPath, Handler: caddy.AdminHandlerFunc(serveExplanation)}}
}

// explanation is the answer: what becomes of a request, and why.
type explanation struct {
	Decision string        `json:"decision"` // passed, refused, unguarded, metadata, login for an address of the sign-in, or issuer for an endpoint of it
	Status   int           `json:"status,omitempty"`
	Reason   string        `json:"reason,omitempty"` // as in the log and the metrics
	At       string        `json:"at,omitempty"`     // the line that decided
	Says     string        `json:"says,omitempty"`
	Mend     string        `json:"mend,omitempty"`
	Next     string        `json:"next"`              // the handler that answers, where it is not refused
	Past     []string      `json:"past,omitempty"`    // handlers in front of it that may answer first, which nobody asks here
	Assumed  []string      `json:"assumed,omitempty"` // what matchers on the way read and the question does not say
	Gates    []gateSays    `json:"gates"`
	Token    *tokenReading `json:"token,omitempty"`
}

// gateSays is what one gate on the way makes of the request.
type gateSays struct {
	At       string     `json:"at,omitempty"`
	Decision string     `json:"decision"` // accepted, anonymous, excepted, shadowed, refused, outside (of its matcher)
	Reason   string     `json:"reason,omitempty"`
	Notes    []string   `json:"notes,omitempty"`
	Rules    []ruleSays `json:"rules,omitempty"`
}

// ruleSays is one line of a gate.
type ruleSays struct {
	At    string `json:"at,omitempty"`
	Rule  string `json:"rule"`
	Holds bool   `json:"holds"`
	Says  string `json:"says"`
}

// tokenReading is what is known of the token. Of one that does not verify it is
// what the token says of itself.
type tokenReading struct {
	Verified bool                 `json:"verified"`
	Cached   bool                 `json:"cached"`
	Issuer   string               `json:"issuer,omitempty"`
	Subject  string               `json:"subject,omitempty"`
	Client   string               `json:"client,omitempty"`
	Audience []string             `json:"audience,omitempty"`
	Scopes   []string             `json:"scopes,omitempty"`
	Type     string               `json:"type,omitempty"`
	KeyID    string               `json:"key,omitempty"`
	Key      *tokenissuer.KeyInfo `json:"key_info,omitempty"`    // of the embedded issuer's keys
	Keys     *keysReading         `json:"issuer_keys,omitempty"` // of a foreign issuer, where they are fetched
	Expires  time.Time            `json:"expires,omitzero"`
}

func serveExplanation(w http.ResponseWriter, r *http.Request) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return caddy.APIError{HTTPStatus: http.StatusUnsupportedMediaType, Err: errors.New("expected application/json")}
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	var q question
	if err := read(r, &q); err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
	}
	q, original, err := q.original(r.Context())
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
	}
	asked, err := q.asked(r.Context())
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
	}
	module, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("no server is configured")}
	}
	t, err := newTour(module.(*caddyhttp.App), q, asked, time.Now())
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
	}
	t.original = original
	if t.routes(t.server.Routes); t.err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: t.err}
	}
	if err := t.unanswered(q.URL); err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(t.explain())
}

// explain sums the tour up. The last gate that judged has decided.
func (t *tour) explain() *explanation {
	x := &explanation{Decision: "unguarded", Next: t.end, Past: t.past, Assumed: t.assumed, At: t.at, Gates: []gateSays{}, Says: "no gate judges it", Mend: t.guard()}
	for _, m := range t.met {
		x.Gates = append(x.Gates, m.summary())
		if !m.outside {
			x.decide(m, t.now)
		}
	}
	switch {
	case t.told:
		x.Decision, x.At, x.Says, x.Mend = "metadata", t.at, "the metadata of a resource (RFC 9728), which everybody may read", ""
	case t.signs:
		x.Decision, x.At, x.Says, x.Mend = "login", t.at, "an address of the sign-in, which the gate answers itself", ""
	case t.end == "token_issuer":
		x.Decision, x.At, x.Says, x.Mend = "issuer", t.at, "an endpoint of the issuer, which is in front of every gate", ""
	}
	return x
}

// guard says how a request that no gate judges would come to be judged.
func (t *tour) guard() string {
	for _, m := range t.met { // all of them outside
		return "widen the matcher of the gate at " + orElse(m.gate.At, "its line")
	}
	if t.end == "nothing" {
		return "no site answers this address with anything: look at its host, port and path"
	}
	return "put token_gate before " + t.end
}

func (m met) summary() gateSays {
	if m.outside {
		return gateSays{At: m.gate.At, Decision: "outside"}
	}
	s := gateSays{At: m.gate.At, Decision: "accepted", Notes: m.notes}
	if m.anyway {
		s.Notes = append([]string{"its matcher does not select this path and host and what it reads by name, but a backend may read them in another way, so it is judged"}, s.Notes...)
	}
	switch refusal := m.says.Refusal; {
	case m.says.Pass == nil:
		s.Decision, s.Reason = "refused", string(refusal.Reason)
	case refusal != nil:
		s.Decision, s.Reason = "shadowed", string(refusal.Reason)
	case m.says.Pass.Excepted:
		s.Decision = "excepted"
	case m.says.Pass.Claims == nil:
		s.Decision = "anonymous"
	}
	for _, r := range m.says.Rules {
		s.Rules = append(s.Rules, ruleSays{m.line(r), strings.TrimSpace(r.Word + " " + r.Value), r.Holds, r.Says})
	}
	return s
}

// line is where a rule was written.
func (m met) line(r gate.Rule) string {
	g := m.gate
	name, _, _ := strings.Cut(r.Value, " ")
	switch r.Word {
	case "claim":
		is := func(c ClaimRule) bool { return c.Name+" "+strings.Join(c.Values, " ") == r.Value }
		if i := slices.IndexFunc(g.Claim, is); i >= 0 {
			return g.Claim[i].At
		}
	case "audience":
		if i := m.foreign(); i != nil {
			return i.Lines.of("audience", name, i.At)
		}
	case "issuer":
		if i := slices.IndexFunc(g.Issuer, func(i ForeignIssuer) bool { return i.Issuer == r.Value }); i >= 0 {
			return g.Issuer[i].At
		}
		return g.app.At
	case "max_staleness":
		if s := g.app.Store; s != nil {
			return s.Lines.of("max_staleness", "", s.At)
		}
		return g.app.At
	}
	return g.Lines.of(r.Word, name, g.At)
}

// foreign is the block of the foreign issuer that the token names; nil where it
// names none that this gate trusts.
func (m met) foreign() *ForeignIssuer {
	name := m.says.Unverified.Issuer
	if c := m.says.Claims; c != nil {
		name = c.Issuer
	}
	if i := slices.IndexFunc(m.gate.Issuer, func(i ForeignIssuer) bool { return i.Issuer == name }); i >= 0 {
		return &m.gate.Issuer[i]
	}
	return nil
}

const everyRule = "every rule holds"

// decide takes over what a gate has decided.
func (x *explanation) decide(m met, now time.Time) {
	x.Decision, x.Status, x.At, x.Says, x.Mend = "passed", 0, m.gate.At, everyRule, ""
	x.Token = m.reading(now)
	refusal := m.says.Refusal
	if refusal != nil {
		x.Reason = string(refusal.Reason)
		x.Mend = m.mend(refusal)
	}
	for _, r := range m.says.Rules {
		if decisive := r.Word == "except" || refusal != nil && !r.Holds; decisive {
			x.At, x.Says = m.line(r), strings.TrimSpace(r.Word+" "+r.Value)+": "+r.Says
			break
		}
	}
	if refusal != nil && x.Says == everyRule {
		x.Says = refusal.Cause.Error() // what no rule is about
	}
	if i := m.foreign(); i != nil && refusal != nil && (refusal.Reason == gate.SilentIssuer || refusal.Reason == gate.UnknownKey) {
		x.At = i.At
	}
	if m.anyway {
		x.Says += "; the gate's matcher does not select this path and host and what it reads by name, but a backend may read them in another way"
	}
	switch {
	case m.says.Pass == nil:
		x.Decision, x.Status = "refused", refusal.Status
	case refusal != nil:
		x.Says += "; in the shadow nobody is refused"
	}
}

func (m met) reading(now time.Time) *tokenReading {
	x := m.says
	if x.Claims == nil {
		if u := x.Unverified; u.KeyID+u.Algorithm+u.Type+u.Issuer != "" {
			return &tokenReading{Issuer: u.Issuer, Type: u.Type, KeyID: u.KeyID, Keys: m.keysOf(u.Issuer)}
		}
		return nil
	}
	c := x.Claims
	t := &tokenReading{
		Verified: true, Cached: x.Cached, Issuer: c.Issuer, Subject: c.Subject, Client: c.ClientID, Audience: c.Audience, Scopes: c.Scopes,
		Type: cmp.Or(c.Type, "opaque"), KeyID: x.Key.ID, Expires: time.Unix(c.Expires, 0).UTC(),
	}
	if run := m.gate.app.running.Load(); run != nil && run.issuer != nil && !c.Foreign() {
		all := run.issuer.KeyList(now)
		if i := slices.IndexFunc(all, func(k tokenissuer.KeyInfo) bool { return k.ID == x.Key.ID }); i >= 0 {
			t.Key = &all[i]
		}
	}
	if c.Foreign() && x.Key.Key != nil {
		t.Keys = m.keysOf(c.Issuer)
	}
	return t
}

// keysOf says how the keys are that the gate fetches from an issuer; nil where it
// fetches none.
func (m met) keysOf(issuer string) *keysReading {
	trusted := slices.ContainsFunc(m.gate.sources, func(s source) bool { return s.read == nil && s.fetched.Issuer == issuer })
	if keys, ok := keysElsewhere()[issuer]; ok && trusted {
		return &keys
	}
	return nil
}

// Interface guard
var _ caddy.AdminRouter = Explain{}
