package caddymodule

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// offer is what the embedded issuer can put into a token. A rule that asks for
// anything else can never be fulfilled: it is a typo.
type offer struct {
	config  tokenissuer.Config
	unknown map[place]bool // options whose placeholders have no value yet
}

// has reports whether a value can be had, and what could be had instead. While
// an option is unknown, every value can.
func (o *offer) has(value string, option string, values []string) bool {
	for p := range o.unknown {
		if p.option == option {
			return true
		}
	}
	return slices.Contains(values, value)
}

func (o *offer) scopes() (all []string) {
	for _, c := range o.config.Clients {
		all = append(all, c.Givable()...)
	}
	return distinct(all)
}

func (o *offer) audiences() (all []string) {
	for _, c := range o.config.Clients {
		all = append(all, c.ID)
	}
	return distinct(all)
}

func (o *offer) claims() []string {
	all := []string{"aud", "exp", "iat", "iss", "jti", "nbf", "scope", "sub"}
	for _, c := range o.config.Clients {
		if c.AccessToken == "at+jwt" || c.AccessToken == "opaque" || c.AccessToken == "" && c.Dialect != "" && c.Dialect != "ciam" {
			return append(all, "client_id")
		}
	}
	return all
}

func distinct(all []string) []string {
	slices.Sort(all)
	return slices.Compact(all)
}

// fulfillable says the first thing that is wrong with a gate whose values are
// resolved, or all that can be said of them while they are not. own is nil where
// no issuer is embedded.
func (g *Gate) fulfillable(own *offer, line func(word, fallback string) string) error {
	wrong := func(word, value, format string, a ...any) error {
		what := strings.TrimSpace(word + " " + value)
		return placed("token_gate: "+what+": "+fmt.Sprintf(format, a...), line(what, line(word, g.At)))
	}
	for n, i := range g.Issuer {
		mend := i.mend()
		switch same := func(o ForeignIssuer) bool { return o.Issuer == i.Issuer }; {
		case slices.ContainsFunc(g.Issuer[:n], same):
			mend = "stands twice"
		case own != nil && i.Issuer == own.config.Issuer, own != nil && i.Issuer == own.config.Issuer+"/api/v1/oauth2":
			mend = "is the embedded issuer, which is trusted without this block"
		}
		if mend != "" {
			return placed("token_gate: issuer "+i.Issuer+": "+mend, i.At)
		}
	}
	if g.Embedded == "off" {
		if len(g.Issuer) == 0 {
			return wrong("embedded", "off", "no issuer is left to trust; add an issuer block")
		}
		own = nil
	} else if own == nil {
		return placed("token_gate: there is no issuer; add the global option token_issuer, or `embedded off` and an issuer block", g.At)
	}
	for _, e := range g.Except {
		if mend := exceptMend(e); mend != "" {
			return wrong("except", e, "%s", mend)
		}
	}
	for n, h := range g.Header {
		mend := h.mend()
		if slices.ContainsFunc(g.Header[:n], func(o Header) bool { return strings.EqualFold(o.Name, h.Name) }) {
			mend = "stands twice"
		}
		if mend != "" {
			return placed("token_gate: header "+h.Name+": "+mend, h.At)
		}
	}
	for _, s := range g.Scope {
		if strings.ContainsAny(s, " \"\\") {
			return wrong("scope", s, "not a scope (RFC 6749 §3.3)")
		}
	}
	if own != nil {
		return g.checkOffer(own, wrong)
	}
	return nil
}

// checkOffer compares the rules with what the embedded issuer can give. A token
// of another issuer may hold anything, but its audiences are known.
func (g *Gate) checkOffer(own *offer, wrong func(word, value, format string, a ...any) error) error {
	foreign := len(g.Issuer) > 0
	audiences := own.audiences()
	for _, i := range g.Issuer {
		audiences = append(audiences, i.Audience...)
	}
	for _, a := range g.Audience {
		if !hasPlaceholder(a) && !own.has(a, "client", audiences) {
			return wrong("audience", a, "no client has this id%s", didYouMean(a, audiences))
		}
	}
	if foreign {
		return nil
	}
	scopes := own.scopes()
	for _, s := range g.Scope {
		if !hasPlaceholder(s) && !own.has(s, "scopes", scopes) {
			return wrong("scope", s, "no client has this scope%s", didYouMean(s, scopes))
		}
	}
	claims := own.claims()
	for _, c := range g.Claim {
		if !hasPlaceholder(c.Name) && !own.has(c.Name, "access_token", claims) {
			text := fmt.Sprintf("token_gate: claim %s: no access token can carry it%s: expected %s", c.Name, didYouMean(c.Name, claims), list(claims))
			return placed(text, c.At)
		}
	}
	return nil
}

// mend says what is wrong with a foreign issuer, or "".
func (i ForeignIssuer) mend() string {
	if !hasPlaceholder(i.Issuer) {
		u, err := url.Parse(i.Issuer)
		if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return "not an issuer such as https://login.example.com"
		}
		if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
			return "must be https (http only on a loopback host)"
		}
	}
	if len(i.Audience) == 0 {
		return "audience is required: this issuer also makes tokens for others"
	}
	if i.JWKSFile == "" {
		return "jwks_file is required: the file with the issuer's keys"
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
