package caddymodule

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterDirective("token_gate", parseGate)
	// Before basic_auth is after every rewrite: what is judged is what the handlers
	// behind will see.
	httpcaddyfile.RegisterDirectiveOrder("token_gate", httpcaddyfile.Before, "basic_auth")
}

// parseGate parses the directive. Syntax:
//
//	token_gate [<matcher>] {
//		audience <client id>…
//		scope <scope>…
//		claim <name> <value>…
//		expression <rule in CEL>
//		max_age <duration>
//		except <path>…
//		issuer <url> { … }
//		embedded on|off
//		token_from header|cookie…
//		login [<issuer>] { … }
//		header <name> <value>
//		cache_size <size>
//		optional
//		shadow
//		answer [headers|request]
//		resource <url>
//		resource_name <text>
//		forward drop|token|signed [<audience>]
//	}
//
// The matcher becomes part of the handler, not of the route: identity headers
// are deleted from requests it does not select, too.
func parseGate(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	begins := at(h.Dispenser)
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, placed("token_gate: "+err.Error(), begins)
	}
	h.Next()
	b := newBlock(h.Dispenser, "token_gate")
	g := &Gate{At: b.lines[""]}
	if matcher != nil {
		g.MatcherSetsRaw = []caddy.ModuleMap{matcher}
	}
	if h.NextArg() {
		return nil, h.Errf("token_gate: unexpected %q: expected a matcher (/path*, @name or *) or a block", h.Val())
	}
	p := gateParser{block: b, gate: g}
	if err := b.read(p.words()); err != nil {
		return nil, err
	}
	own, err := offered(h)
	if err != nil {
		return nil, err
	}
	g.Lines = b.lines.kept()
	if err := g.fulfillable(own); err != nil {
		return nil, err
	}
	return h.NewRoute(routeOf(h), g), nil
}

// routeOf is the matcher of the directive's route. Caddy merges handlers without one
// into one route, and of a named route that is a single one it keeps the first handler
// alone (extractNamedRoutes): behind a `header` line the gate would be gone.
func routeOf(h httpcaddyfile.Helper) caddy.ModuleMap {
	if !h.IsNamedRoute() {
		return nil
	}
	return caddy.ModuleMap{"path": h.JSON(caddyhttp.MatchPath{"*"})}
}

// offered is the literal offer of the file, read by the first of its gates.
func offered(h httpcaddyfile.Helper) (*offer, error) {
	const state = "token_gate offer" // among those of other directives
	if own, read := h.State[state].(*offer); read {
		return own, nil
	}
	own, err := literalOffer(h)
	if err == nil && h.State != nil {
		h.State[state] = own
	}
	return own, err
}

// literalOffer reads what the file's global option offers, as far as it is
// written literally; nil where there is none.
func literalOffer(h httpcaddyfile.Helper) (*offer, error) {
	option, ok := h.Option("token_issuer").(httpcaddyfile.App)
	if !ok {
		return nil, nil
	}
	var app App
	if err := json.Unmarshal(option.Value, &app); err != nil {
		return nil, err
	}
	r := &reader{}
	return newOffer(app.translate(r), r.unknown), nil
}

// gateParser parses the words of a gate that have several arguments.
type gateParser struct {
	*block
	gate *Gate
}

// words are those of a gate's block.
func (p *gateParser) words() words {
	b, g := p.block, p.gate
	return words{
		"audience":      b.texts(&g.Audience),
		"scope":         b.texts(&g.Scope),
		"claim":         {read: p.claim, repeat: true},
		"expression":    {read: p.expression},
		"max_age":       b.duration(&g.MaxAge),
		"except":        b.texts(&g.Except),
		"issuer":        {read: p.issuer, repeat: true},
		"embedded":      b.oneOf(&g.Embedded, "on", "off"),
		"header":        {read: p.header, repeat: true},
		"answer":        {read: p.answer},
		"token_from":    b.texts(&g.TokenFrom),
		"login":         {read: p.login},
		"resource":      b.text(&g.Resource),
		"resource_name": b.text(&g.ResourceName),
		"optional":      b.flag(&g.Optional),
		"forward":       {read: p.forward},
		"cache_size":    b.checked(&g.CacheSize, b.isSize),
		"shadow":        b.flag(&g.Shadow),
	}
}

// claim parses:
//
//	claim <name> <value>…
func (p *gateParser) claim() error {
	c := ClaimRule{At: at(p.Dispenser)}
	args := p.RemainingArgs()
	if len(args) < 2 {
		return p.Errf("%s: claim needs a name and at least one value", p.name)
	}
	for _, arg := range args {
		if arg == "" {
			return p.Errf("%s: an empty value in claim %s", p.name, args[0])
		}
	}
	c.Name, c.Values = args[0], args[1:]
	p.gate.Claim = append(p.gate.Claim, c)
	return nil
}

// header parses:
//
//	header <name> <value>
func (p *gateParser) header() error {
	h := Header{At: at(p.Dispenser)}
	if !p.AllArgs(&h.Name, &h.Value) || h.Name == "" || h.Value == "" {
		return p.Errf("%s: header needs a name and a value, such as X-User-Id {claim.sub}", p.name)
	}
	p.gate.Header = append(p.gate.Header, h)
	return nil
}

// forward parses:
//
//	forward drop|token|signed [<audience>]
func (p *gateParser) forward() error {
	if err := p.oneOf(&p.gate.Forward, forwards...).read(); err != nil {
		return err
	}
	if !p.NextArg() {
		return nil
	}
	if p.Val() == "" {
		return p.Errf("%s: an empty audience after forward %s", p.name, p.gate.Forward)
	}
	p.gate.ForwardAudience = p.Val()
	return nil
}

// answer parses:
//
//	answer [headers|request]
func (p *gateParser) answer() error {
	p.gate.Answer = answerHeaders
	if !p.NextArg() {
		return nil
	}
	p.gate.Answer = p.Val()
	if p.gate.Answer != answerHeaders && p.gate.Answer != answerRequest {
		return p.notOneOf("answer", p.gate.Answer, []string{answerHeaders, answerRequest})
	}
	return nil
}
