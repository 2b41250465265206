package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
)

func init() { caddy.RegisterModule(Gate{}) }

// Gate lets a request with a good access token pass, with the caller's identity
// in headers and placeholders, and refuses every other.
//
// It deletes the identity headers a request brings along, whether it is matched
// or not; then it judges the requests that match. Several gates on one route add
// up. After it `{http.auth.user.id}` and `{http.auth.user.<claim>}` are set, the
// empty text where a claim is absent.
type Gate struct {
	// Where this was written, for error messages: `Caddyfile:42`.
	At string `json:"at,omitempty"`

	// Where each word of it was written.
	Lines Lines `json:"lines,omitempty"`

	// The requests to judge; default: all. Requests that do not match pass
	// without a token, and without identity; but a path that a backend may read in
	// another way (with dot or empty segments, \, ;, an escaped slash, a control
	// character or broken UTF-8) is judged whatever the matcher says.
	MatcherSetsRaw caddyhttp.RawMatcherSets `json:"match,omitempty" caddy:"namespace=http.matchers"`

	// Tokens of the embedded issuer must be for any of these: client ids, or an
	// `audience` of a client. Default: any client of it. Whom the tokens of a foreign
	// issuer must be for stands in its block, and only there.
	Audience []string `json:"audience,omitempty"`

	// The token must have all of these scopes.
	Scope []string `json:"scope,omitempty"`

	// Claims the token must hold; all lines must agree.
	Claim []ClaimRule `json:"claim,omitempty"`

	// A rule in [CEL](https://cel.dev) that must hold, over `claims`, `request.method`, `request.host`,
	// `request.path`, `request.client_ip` and `now`. A claim that is absent makes it
	// fail unless it is asked for with `has(claims.name)`.
	Expression string `json:"expression,omitempty"`

	// How long ago the person may have signed in, such as `5m`, by the `auth_time` of
	// the token. Who did earlier, and who no token tells it of, is to sign in again.
	MaxAge string `json:"max_age,omitempty"`

	// Paths let through without a token: exact, or with `/*` at the end. A name below
	// may have blanks and letters of any script, but nothing that a backend may read in
	// another way (see `match`); of COPY and MOVE the path in `Destination` has to be
	// one of these, too.
	Except []string `json:"except,omitempty"`

	// Other issuers to trust besides the embedded one.
	Issuer []ForeignIssuer `json:"issuer,omitempty"`

	// Whether tokens of the embedded issuer are trusted: `on` (default) or `off`.
	Embedded string `json:"embedded,omitempty"`

	// The identity headers the upstream gets, each deleted first, always. Default:
	// X-Auth-Subject, X-Auth-Client, X-Auth-Scope, X-Auth-Issuer.
	Header []Header `json:"header,omitempty"`

	// Whether requests without a token pass, without identity. One with a token is
	// judged. Where another gate already demands a token, `except` in that one is
	// what opens a path.
	Optional bool `json:"optional,omitempty"`

	// Whether to decide, count and log, and to refuse nobody: what would have been
	// refused goes on without identity. `Authorization` stays in every request.
	Shadow bool `json:"shadow,omitempty"`

	// How much memory remembers verified tokens, such as `400MiB`, which is about a
	// million; default `64MiB`. All gates of the server share it; the largest counts.
	CacheSize string `json:"cache_size,omitempty"`

	// What becomes of the Authorization header: `drop` (default) takes it out, `token`
	// lets the caller's token through, `signed` replaces it by a token about the
	// caller that the embedded issuer signs, good for a minute and for nothing but
	// the backend.
	Forward string `json:"forward,omitempty"`

	// Whom a signed token is for, its `aud`. Default: whom the caller's token is for.
	ForwardAudience string `json:"forward_audience,omitempty"`

	// For another proxy that asks before it hands a request on: answer 200 with the
	// identity headers, 401 or 403. `headers`: nginx and Traefik say in
	// X-Original-URL and X-Original-Method, or X-Forwarded-Uri, -Method, -Proto and
	// -Host, what they ask about. `request`: Envoy asks with the request itself. Who
	// asks must be among Caddy's `trusted_proxies`.
	Answer string `json:"answer,omitempty"`

	// Where a token is looked for, in this order: `header` (default), the Authorization
	// field, and `cookie`, what a `login` has left in the browser. A cookie counts only
	// for requests of the site's own pages and of people, not for other sites'.
	TokenFrom []string `json:"token_from,omitempty"`

	// Send people who come without a token to sign in, and keep them signed in by a
	// cookie. Scripts and other programs are answered 401 as ever.
	Login *Login `json:"login,omitempty"`

	// The identifier of what is guarded, for its metadata (RFC 9728). Default: the
	// site's address, with the folder of the gate's matcher.
	Resource string `json:"resource,omitempty"`

	// What the metadata calls it.
	ResourceName string `json:"resource_name,omitempty"`

	outcry
	app                 *App
	from                from
	signIn              signIn
	login               *login.Login // by signIn; set with gate
	number              int          // of this gate in the configuration
	spot                spot
	more                bool              // another gate may answer after this one
	metadata            map[wanted]string // the part of a challenge that leads there, by address
	own                 *resource         // by the word `resource`
	resourceName, title string            // the values of the two
	matchers            caddyhttp.MatcherSets
	names               *gate.Names           // that they read; nil: none
	sure                caddyhttp.MatcherSets // without those that read names, texts or what a request was before
	asBody              bool                  // they read the body
	asHost              bool                  // they may read the host as it was sent
	made                *made                 // what may make something that they read
	texts               string                // what they say, where that is so
	asScript            bool                  // that may be of a script's name, nobody can say how
	asBefore            bool                  // they read what a request was before, or what handlers have made of it
	embedded            bool
	compiled            gate.Config
	memory              int64      // CacheSize in bytes, 0 where it is not named
	sources             []source   // of its foreign issuers, in their order
	trial               *gate.Gate // knows the headers, and nobody's keys
	gate                *gate.Gate // set before the app says that it runs
}

// ClaimRule is a claim that must hold one of several values.
type ClaimRule struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// The name of the claim.
	Name string `json:"name,omitempty"`

	// The values of which one is enough.
	Values []string `json:"values,omitempty"`
}

// Header is an identity header.
type Header struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// The name of the header.
	Name string `json:"name,omitempty"`

	// Its value: text with `{claim.<name>}` where a claim goes. Where one of its
	// claims is absent, the whole header is left out.
	Value string `json:"value,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Gate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.token_gate", New: func() caddy.Module { return new(Gate) }}
}

// Provision resolves the rules and checks them against what the issuer can give.
func (g *Gate) Provision(ctx caddy.Context) error {
	g.outcry = outcryOf(ctx)
	g.outcry.terse = g.Answer != ""
	app, err := ctx.App("token_issuer")
	if err != nil {
		return err
	}
	g.app = app.(*App)
	g.app.keepConns(ctx)
	if g.MatcherSetsRaw != nil {
		raw := g.MatcherSetsRaw
		sets, err := ctx.LoadModule(g, "MatcherSetsRaw")
		if err != nil {
			return placed("token_gate: matcher: "+err.Error(), g.At)
		}
		g.MatcherSetsRaw = raw // Caddy has emptied it, and the rules are judged by it
		if err := g.matchers.FromInterface(sets); err != nil {
			return placed("token_gate: matcher: "+err.Error(), g.At)
		}
		if err := g.provisionReads(sets); err != nil {
			return placed("token_gate: matcher: "+err.Error(), g.At)
		}
	}
	if g.compiled, err = g.compile(); err != nil {
		return err
	}
	g.spot = spotOf(ctx)
	if err := g.checkOptional(); err != nil {
		return err
	}
	if err := g.checkAnswer(); err != nil {
		return err
	}
	for _, page := range g.pages() {
		g.logger.Warn("token_gate: "+page+" does not match "+page+"/, which most backends answer alike, and which passes this gate unjudged; write `@name path "+page+" "+page+"/` and `token_gate @name`", zapAt(g.At))
	}
	for _, folder := range g.folders() {
		g.logger.Warn("token_gate: "+folder+"/* does not match "+folder+" itself, which passes this gate unjudged; write `@name path "+folder+" "+folder+"/*` and `token_gate @name`", zapAt(g.At))
	}
	for _, path := range g.escapes() {
		g.logger.Warn("token_gate: "+path+" has an escape of what callers may send as it is, which then does not match and passes this gate unjudged; write the character itself, which matches both", zapAt(g.At))
	}
	if g.isWithoutHead() {
		g.logger.Warn("token_gate: method GET does not match HEAD, which backends answer as GET without the body, and which passes this gate unjudged; write `method GET HEAD`", zapAt(g.At))
	}
	g.app.gates = append(g.app.gates, g)
	return nil
}

var _ caddy.Provisioner = (*Gate)(nil)
