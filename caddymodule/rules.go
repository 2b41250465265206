package caddymodule

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// fulfillable says the first thing that is wrong with a gate whose values are
// resolved, or all that can be said of them while they are not. own is nil where
// no issuer is embedded.
func (g *Gate) fulfillable(own *offer) error {
	if err := g.checkIssuers(own); err != nil {
		return err
	}
	if mend := g.forwardMend(own); mend != "" {
		return g.wrong("forward", orElse(g.Forward, "drop"), "%s", mend)
	}
	if err := g.checkEmbedded(own); err != nil {
		return err
	}
	if g.Embedded == "off" {
		own = nil
	}
	for _, check := range []func() error{g.checkExcept, g.checkHeaders, g.checkDemands, g.checkExpression} {
		if err := check(); err != nil {
			return err
		}
	}
	if err := g.checkLogin(own, g.wrong); err != nil {
		return err
	}
	if own != nil {
		return g.checkOffer(own, g.wrong)
	}
	return nil
}

// wrong is a mistake in the value of a word, with its line.
func (g *Gate) wrong(word, value, format string, a ...any) error {
	return placed("token_gate: "+word+" "+value+": "+fmt.Sprintf(format, a...), g.Lines.of(word, value, g.At))
}

// checkIssuers looks at the foreign issuers, each by itself and beside the others.
func (g *Gate) checkIssuers(own *offer) error {
	for n, i := range g.Issuer {
		mend, at := i.mend()
		switch same := func(o ForeignIssuer) bool { return o.Issuer == i.Issuer }; {
		case slices.ContainsFunc(g.Issuer[:n], same):
			mend, at = "stands twice", i.At
		case mend == "" && i.Introspection != nil && slices.ContainsFunc(g.Issuer[:n], func(o ForeignIssuer) bool { return o.Introspection != nil }):
			mend, at = "introspection: another issuer of this gate is asked about opaque tokens, and each would be shown the other's; give it a gate of its own", orElse(i.Introspection.At, i.At)
		case own != nil && i.Issuer == own.config.Issuer, own != nil && i.Issuer == own.config.Issuer+"/api/v1/oauth2":
			mend, at = "is the embedded issuer, which is trusted without this block", i.At
		}
		if mend != "" {
			return placed("token_gate: issuer "+i.Issuer+": "+mend, at)
		}
		if i.tooLenient() {
			return placed("token_gate: issuer "+i.Issuer+": leeway: at most 10m: an expired token is good for that long", i.Lines.of("leeway", "", i.At))
		}
	}
	return nil
}

// checkEmbedded looks whether there is an issuer to trust.
func (g *Gate) checkEmbedded(own *offer) error {
	switch {
	case g.Embedded != "off" && own == nil:
		return placed("token_gate: there is no issuer; add the global option token_issuer, or `embedded off` and an issuer block", g.At)
	case g.Embedded != "off":
		return nil
	case len(g.Issuer) == 0:
		return g.wrong("embedded", "off", "no issuer is left to trust; add an issuer block")
	case len(g.Audience) > 0:
		return g.wrong("audience", g.Audience[0], "without effect: it is whom tokens of the embedded issuer are for, and this gate takes none; whom a foreign issuer's are for stands in its block")
	}
	return nil
}

func (g *Gate) checkExcept() error {
	for _, e := range g.Except {
		if mend := exceptMend(e); mend != "" {
			return g.wrong("except", e, "%s", mend)
		}
		if paths := g.beside(e); paths != nil {
			return g.wrong("except", e, "without effect: this gate judges %s only", list(paths))
		}
	}
	return nil
}

func (g *Gate) checkHeaders() error {
	for n, h := range g.Header {
		mend := h.mend()
		if slices.ContainsFunc(g.Header[:n], func(o Header) bool { return strings.EqualFold(o.Name, h.Name) }) {
			mend = "stands twice"
		}
		if mend != "" {
			return placed("token_gate: header "+h.Name+": "+mend, h.At)
		}
	}
	return nil
}

// checkDemands looks at the words of one value each.
func (g *Gate) checkDemands() error {
	for _, s := range g.Scope {
		if strings.ContainsAny(s, " \"\\") {
			return g.wrong("scope", s, "not a scope (RFC 6749 §3.3)")
		}
	}
	if age, problem := parseDuration(g.MaxAge); g.MaxAge != "" && problem == "" && age < time.Second {
		return g.wrong("max_age", g.MaxAge, "at least 1s: clients are told it in whole seconds")
	}
	if mend := resourceMend(g.Resource); mend != "" {
		return g.wrong("resource", g.Resource, "%s", mend)
	}
	return nil
}

// checkOffer compares the rules with what the embedded issuer can give. A token
// of another issuer may hold anything, but whom it is for stands in that issuer's
// block alone.
func (g *Gate) checkOffer(own *offer, wrong func(word, value, format string, a ...any) error) error {
	foreign := len(g.Issuer) > 0
	audiences := own.audiences()
	for _, a := range g.Audience {
		if hasPlaceholder(a) || own.has(a, "client", audiences) || own.has(a, "audience", nil) {
			continue
		}
		if i := slices.IndexFunc(g.Issuer, func(i ForeignIssuer) bool { return slices.Contains(i.Audience, a) }); i >= 0 {
			return wrong("audience", a, "without effect: no token of the embedded issuer is for it; for those of %s it counts where it stands, in that issuer's block", g.Issuer[i].Issuer)
		}
		return wrong("audience", a, "no client has this id%s", didYouMean(a, audiences))
	}
	if foreign {
		return nil
	}
	can := own.scopes()
	for _, s := range g.Scope {
		switch {
		case hasPlaceholder(s) || own.has(s, "scopes", can) || own.has(s, "grants", nil) || own.has(s, "dialect", nil):
		case own.registers(s) != "":
			return wrong("scope", s, "client %s is registered with it and has no grant that can give it", own.registers(s))
		default:
			return wrong("scope", s, "no client has this scope%s", didYouMean(s, can))
		}
	}
	if err := g.checkClaims(own); err != nil {
		return err
	}
	if demands := g.demands(); len(demands) > 1 && !own.together(g) {
		return placed("token_gate: no token can have all of this: "+strings.Join(demands, ", ")+
			": each is another client's, or another grant's; give one client all of it, or write a gate for each", g.At)
	}
	return nil
}

// demands are what the gate asks of the embedded issuer's tokens, as it is written.
func (g *Gate) demands() (all []string) {
	if len(g.Audience) > 0 {
		all = append(all, "audience "+list(g.Audience))
	}
	for _, s := range g.Scope {
		all = append(all, "scope "+s)
	}
	for _, c := range g.Claim {
		all = append(all, "claim "+c.Name)
	}
	if g.MaxAge != "" {
		all = append(all, "max_age "+g.MaxAge)
	}
	return all
}

// checkClaims refuses claims that are in none of the issuer's tokens, where they
// are demanded and where a header is made of them: it would never be set.
func (g *Gate) checkClaims(own *offer) error {
	claims := own.claims()
	carried := func(word, name, at string, known []string) error {
		if hasPlaceholder(name) || own.has(name, "access_token", known) || own.has(name, "dialect", nil) ||
			own.has(name, "claims", nil) || own.has(name, "operator_attribute", nil) {
			return nil
		}
		if slices.Contains(own.config.Attributes, name) {
			text := fmt.Sprintf("token_gate: %s %s: people write it themselves, so no access token carries it: declare it as operator_attribute", word, name)
			return placed(text, at)
		}
		if slices.Contains(own.config.OperatorAttributes, name) {
			text := fmt.Sprintf("token_gate: %s %s: no access token can carry it: name it in the claims of a client", word, name)
			return placed(text, at)
		}
		text := fmt.Sprintf("token_gate: %s %s: no access token can carry it%s: expected %s", word, name, didYouMean(name, known), list(known))
		return placed(text, at)
	}
	for _, c := range g.Claim {
		if err := carried("claim", c.Name, c.At, claims); err != nil {
			return err
		}
	}
	if g.MaxAge != "" && !own.has("auth_time", "access_token", claims) && !own.has("auth_time", "dialect", nil) && !own.has("auth_time", "grants", nil) {
		return placed("token_gate: max_age: no access token says when its person signed in: write `access_token at+jwt` in a client that people sign in with",
			g.Lines.of("max_age", "", g.At))
	}
	for _, name := range g.claimsOfExpression() {
		if err := carried("expression: claim", name, g.Lines.of("expression", "", g.At), claims); err != nil {
			return err
		}
	}
	// In a header the client can always be told: of tokens without client_id the
	// audience is.
	inHeaders := distinct(append(slices.Clone(claims), "client_id"))
	for _, h := range g.Header {
		for _, name := range h.claims() {
			if err := carried("header "+h.Name+": claim", name, h.At, inHeaders); err != nil {
				return err
			}
		}
	}
	return nil
}

// claims are the names that a header's value is made of.
func (h Header) claims() (names []string) {
	for _, found := range claimPlaceholder.FindAllStringSubmatch(h.Value, -1) {
		names = append(names, found[1])
	}
	return names
}

var claimPlaceholder = regexp.MustCompile(`\{claim\.([^{}]+)\}`)

// mostLeeway is more than the clocks of two servers are ever apart that anybody
// looks after.
const mostLeeway = 10 * time.Minute

func (i ForeignIssuer) tooLenient() bool {
	written, _ := parseDuration(i.Leeway) // 0 where it is a placeholder or resolved
	return max(i.leeway, written) > mostLeeway
}

// forwardMend says what is wrong with what becomes of the Authorization header, or "".
func (g *Gate) forwardMend(own *offer) string {
	switch {
	case hasPlaceholder(g.Forward) || g.Forward == "" && g.ForwardAudience == "":
		return ""
	case g.Forward != "" && !slices.Contains(forwards, g.Forward):
		return "expected " + list(forwards)
	case g.Forward == "signed" && own == nil:
		return "there is no issuer that could sign; add the global option token_issuer"
	case g.Forward != "signed" && g.ForwardAudience != "":
		return "only a signed token has an audience of its own: leave " + g.ForwardAudience + " out"
	}
	return ""
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// exceptMend says what is wrong with a path, or "".
func exceptMend(path string) string {
	exact := strings.TrimSuffix(path, "*")
	switch {
	case hasPlaceholder(path):
		return ""
	case !strings.HasPrefix(path, "/"):
		return "a path begins with /"
	case strings.Contains(exact, "*") || exact != path && !strings.HasSuffix(exact, "/"):
		return "only /* at the end stands for everything below"
	}
	return ""
}

// mend says what is wrong with an identity header, or "".
func (h Header) mend() string {
	if h.Name == "" || strings.Trim(h.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return "not a header name: letters, digits and - only, as proxies drop others"
	}
	if strings.Contains(h.Value, "{claim.}") {
		return "{claim.} names no claim"
	}
	return ""
}
