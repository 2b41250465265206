package caddymodule

import (
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// noKeys stands for an issuer's until the configuration runs.
var noKeys = new(token.Set)

// standIn lets a gate's rules be compiled, and so checked, before it is used.
var standIn = []gate.Issuer{{Identifier: "https://embedded.invalid", Keys: noKeys, Embedded: true}}

// forwards are the words for what becomes of the Authorization header.
var forwards = []string{"drop", "token", "signed"}

var howToForward = map[string]gate.Forward{"token": gate.ForwardToken, "signed": gate.ForwardSigned}

// compile resolves the gate's values and translates them into package gate's
// own terms, all but the embedded issuer.
func (g *Gate) compile() (gate.Config, error) {
	r := &reader{repl: caddy.NewReplacer()}
	// {claim.NAME} is for later: it goes through as it is.
	r.repl.Map(func(key string) (any, bool) { return "{" + key + "}", strings.HasPrefix(key, "claim.") })
	v, maxAge := g.resolve(r)
	if r.err != nil {
		return gate.Config{}, r.err
	}
	var own *offer
	if g.app.issuing {
		own = g.app.offer
	}
	err := v.fulfillable(own)
	if err != nil {
		return gate.Config{}, err
	}
	g.embedded = v.Embedded != "off"
	g.from, g.signIn = v.tokenFrom(), v.signIn
	g.resourceName, g.title = v.Resource, v.ResourceName
	c := gate.Config{Audiences: v.Audience, Scopes: v.Scope, Except: v.Except, Peer: peerOf, Sent: sentTo, Optional: g.Optional, Shadow: g.Shadow, MaxAge: maxAge}
	c.Forward, c.ForwardAudience = howToForward[v.Forward], v.ForwardAudience
	if v.Expression != "" {
		if c.Expression, err = gate.NewExpression(v.Expression); err != nil {
			return c, placed("token_gate: expression: "+err.Error(), v.Lines.of("expression", "", v.At))
		}
	}
	for _, rule := range v.Claim {
		c.Claims = append(c.Claims, gate.Claim{Name: rule.Name, Any: rule.Values})
	}
	for _, h := range v.Header {
		c.Headers = append(c.Headers, gate.Header{Name: h.Name, Value: h.Value})
	}
	for n, i := range v.Issuer {
		source, err := i.source(token.Crypto(g.app.resolved.Crypto), g.logger)
		if err != nil {
			return c, err
		}
		g.sources = append(g.sources, source)
		c.Issuers = append(c.Issuers, i.trusted())
		if in := g.Issuer[n].Introspection; in != nil && !hasPlaceholder(in.ClientSecret) {
			g.logger.Warn(literalSecret, zapAt(orElse(in.At, i.At)))
		}
	}
	if err := g.signIn.ask(v); err != nil {
		return c, err
	}
	g.warnOfLogin()
	if own != nil && v.Embedded != "off" && len(v.Issuer) == 0 && len(v.signIn.missing) == 0 {
		if unsaid := own.unsaid(v); len(unsaid) > 0 {
			g.logger.Warn("token_gate: expression: it asks for what no token says that the gate's other lines let through: "+list(unsaid)+
				"; tokens of clients that act for themselves say nothing of people; add it to the claims of a client, unless the expression holds without", zapAt(v.Lines.of("expression", "", v.At)))
		}
	}
	if g.Shadow && v.Forward != "" && v.Forward != "token" {
		g.logger.Warn("token_gate: forward "+v.Forward+": without effect in the shadow, where every request keeps its Authorization; it begins when `shadow` is taken out", zapAt(v.Lines.of("forward", "", v.At)))
	}
	if l := g.Login; l != nil && l.ClientSecret != "" && !hasPlaceholder(l.ClientSecret) {
		g.logger.Warn(literalSecret, zapAt(l.Lines.of("client_secret", "", l.At)))
	}
	trial := c
	trial.Forward, trial.ForwardAudience = gate.ForwardDrop, ""
	trial.Issuers = append(trial.Issuers[:len(trial.Issuers):len(trial.Issuers)], standIn...)
	if g.trial, err = gate.New(trial, new(gate.Cache)); err != nil {
		return c, placed("token_gate: "+err.Error(), v.lineOf(c))
	}
	return c, nil
}

// lineOf finds the line that makes package gate refuse the rules: the first that
// it refuses alone.
func (g *Gate) lineOf(c gate.Config) string {
	refuses := func(alone gate.Config) bool {
		alone.Issuers = standIn
		_, err := gate.New(alone, new(gate.Cache))
		return err != nil
	}
	for _, e := range c.Except {
		if refuses(gate.Config{Except: []string{e}}) {
			return g.Lines.of("except", e, g.At)
		}
	}
	for n, h := range c.Headers {
		if refuses(gate.Config{Headers: []gate.Header{h}}) {
			return g.Header[n].At
		}
	}
	return g.At
}

// resolve returns a copy of the rules without placeholders.
func (g *Gate) resolve(r *reader) (v *Gate, maxAge time.Duration) {
	r.name = "token_gate: "
	r.enter(place{}, g.At, g.Lines)
	v = &Gate{At: g.At, MatcherSetsRaw: g.MatcherSetsRaw, MaxAge: g.MaxAge, Answer: g.Answer}
	v.Audience = r.texts("audience", g.Audience)
	v.Scope = r.texts("scope", g.Scope)
	v.Except = r.texts("except", g.Except)
	v.Embedded, _ = r.text("embedded", g.Embedded)
	if v.Embedded != "" && v.Embedded != "on" && v.Embedded != "off" {
		r.fail("embedded", g.Embedded, "expected on or off")
	}
	if g.Answer != "" && g.Answer != answerHeaders && g.Answer != answerRequest {
		r.fail("answer", g.Answer, "expected headers or request")
	}
	v.Expression = r.expression(g.Expression)
	v.Resource, _ = r.text("resource", g.Resource)
	v.ResourceName, _ = r.text("resource_name", g.ResourceName)
	v.TokenFrom = r.texts("token_from", g.TokenFrom)
	g.memory = r.size("cache_size", g.CacheSize)
	v.Forward, _ = r.text("forward", g.Forward)
	v.ForwardAudience, _ = r.text("forward", g.ForwardAudience)
	maxAge = r.duration("max_age", g.MaxAge)
	v.Lines, r.lines = r.lines, nil
	v.Login = g.Login.resolve(r)
	for _, c := range g.Claim {
		r.at = c.At
		name, _ := r.text("claim", c.Name)
		v.Claim = append(v.Claim, ClaimRule{At: c.At, Name: name, Values: r.texts("claim", c.Values)})
	}
	for _, h := range g.Header {
		r.at = h.At
		name, _ := r.text("header", h.Name)
		if strings.Contains(h.Value, "{http.") {
			r.fail("header", h.Value, "there is no request yet whose placeholders have values; write {claim.sub} or another claim")
		}
		value, _ := r.text("header", h.Value)
		v.Header = append(v.Header, Header{At: h.At, Name: name, Value: value})
	}
	for _, i := range g.Issuer {
		v.Issuer = append(v.Issuer, i.resolve(r))
	}
	return v, maxAge
}

// build makes the gate for the running issuer.
func (g *Gate) build(run *running) (err error) {
	c := g.compiled
	c.Issuers = slices.Clone(c.Issuers)
	for n, source := range g.sources {
		if err = g.app.remotes.join(source, &c.Issuers[n]); err != nil {
			return err
		}
	}
	if g.embedded {
		for _, id := range run.issuer.Identifiers() {
			c.Issuers = append(c.Issuers, gate.Issuer{Identifier: id, Keys: run.issuer, Embedded: true, Early: run.issuer.Early(), Revoked: run.issuer})
		}
		c.Opaque = run.issuer
	}
	if run.issuer != nil {
		c.Voucher = run.issuer
	}
	if g.gate, err = gate.New(c, run.cache); err != nil {
		return err
	}
	return g.publish()
}
