package caddymodule

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// insteadOf is a request as if it were for another address. A placeholder tells of
// the request that its replacer was made for, so there is another one: what reads
// {path} must not read the path at which a proxy asks.
func (p *passage) insteadOf(r *http.Request, method string, address *url.URL) *http.Request {
	o := *r
	o.Method, o.URL, o.Host, o.RequestURI = method, address, address.Host, address.RequestURI()
	switch {
	case address.Scheme != "https":
		o.TLS = nil
	case o.TLS == nil:
		o.TLS = &tls.ConnectionState{ServerName: address.Hostname(), HandshakeComplete: true}
	}
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	repl := caddy.NewReplacer()
	repl.Map(p.placeholder)
	return caddyhttp.PrepareRequest(&o, repl, nowhere{}, server)
}

// readsQuestion finds what matchers read that other handlers have made of a request,
// "" where they read none: handlers see the question of a proxy, and never the
// request that it is about.
func readsQuestion(sets caddyhttp.RawMatcherSets) string { return inMatchers(sets, readsOther) }

// placeholders that are of the request itself, or of none.
var ofRequest = []string{"http.request.", userPrefix, "env.", "system.", "time.", "file."}

var (
	placeholders = regexp.MustCompile(`\{([a-zA-Z][\w.-]*)\}`)
	varsOfCEL    = regexp.MustCompile(`\bvars(_regexp)?\s*\(`)
)

// readsOther looks through one matcher, and those inside of it.
func readsOther(name string, value any) string {
	switch v := value.(type) {
	case string:
		for _, found := range placeholders.FindAllStringSubmatch(v, -1) {
			if !slices.ContainsFunc(ofRequest, func(prefix string) bool { return strings.HasPrefix(found[1], prefix) }) {
				return found[0]
			}
		}
		if name == "expr" || name == "expression" {
			return strings.TrimSuffix(varsOfCEL.FindString(v), "(")
		}
	case []any:
		for _, inner := range v {
			if found := readsOther(name, inner); found != "" {
				return found
			}
		}
	case map[string]any:
		for key, inner := range v {
			if (name == "vars" || name == "vars_regexp") && !strings.HasPrefix(key, "{") {
				return "the variable " + key
			}
			if found := readsOther("", key); found != "" {
				return found
			}
			if found := readsOther(key, inner); found != "" {
				return found
			}
		}
	}
	return ""
}

// readsPeer finds what matchers read of the connection that a question comes by, "" where
// they read nothing of it: it is the proxy's, whoever the caller is.
func readsPeer(sets caddyhttp.RawMatcherSets) string {
	return inMatchers(sets, func(name string, value any) string { return ofPeer(map[string]any{name: value}) })
}

// inMatchers is what the first matcher has in which something is found.
func inMatchers(sets caddyhttp.RawMatcherSets, find func(name string, value any) string) string {
	for _, set := range sets {
		for name, raw := range set {
			var value any
			if json.Unmarshal(raw, &value) != nil {
				continue // it is no matcher, and Caddy has said so
			}
			if found := find(name, value); found != "" {
				return found
			}
		}
	}
	return ""
}

var (
	peersPlaceholder = regexp.MustCompile(`\{http\.request\.(remote|local|tls\.client)\b[^{}]*\}`)
	peersCEL         = regexp.MustCompile(`\bremote_ip\s*\(`)
)

func ofPeer(value any) string {
	switch v := value.(type) {
	case string:
		return peersPlaceholder.FindString(v)
	case []any:
		for _, inner := range v {
			if found := ofPeer(inner); found != "" {
				return found
			}
		}
	case map[string]any:
		for name, inner := range v {
			found := orElse(ofPeer(name), ofPeer(inner))
			text, isText := inner.(string)
			switch isRule := name == "expr" || name == "expression"; {
			case found != "":
				return found
			case name == "remote_ip", isRule && isText && peersCEL.MatchString(text):
				return "remote_ip"
			}
		}
	}
	return ""
}
