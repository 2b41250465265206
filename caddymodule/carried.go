package caddymodule

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// What a caller's request has of its connection and its body is in no question of a
// proxy. A matcher that reads it there finds the proxy's own or nothing: it says no to
// whoever it was written for, and its gate judges nobody.
var (
	hops = []string{"Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

	leftBehind = regexp.MustCompile(`\{http\.request\.(?:body\w*|proto\w*|tls\.[^{}]*)\}`)
	schemeRead = regexp.MustCompile(`\{http\.request\.scheme\}`)
	fieldRead  = regexp.MustCompile(`\{http\.request\.(header|cookie)\.([^{}]*)\}`)

	// The same in a rule in CEL, where matchers are functions.
	callsTLS      = regexp.MustCompile(`\btls\s*\(`)
	callsProtocol = regexp.MustCompile(`\bprotocol\s*\(\s*['"]([^'"]*)`)
	callsHeader   = regexp.MustCompile(`\bheader\s*\([^)]*`)
	namesOfHeader = regexp.MustCompile(`['"]([\w-]+)['"]\s*:`)
	callsRegexp   = regexp.MustCompile(`\bheader_regexp\s*\([^)]*`)
	namesOfRegexp = regexp.MustCompile(`['"]([\w-]+)['"]\s*,`)
)

// readsLeftBehind finds what the matchers of a gate that answers read and no question
// has, "" where they read none. Envoy's has no scheme, either: it comes by the gate's own.
func (g *Gate) readsLeftBehind() string {
	byItself := g.Answer == answerRequest
	return inMatchers(g.MatcherSetsRaw, func(name string, value any) string {
		return eachMatcher(name, value, func(name string, value any) string {
			if name == "tls" {
				return name
			}
			for _, protocol := range protocolsOf(name, value) {
				if byItself && protocol != "grpc" || strings.HasPrefix(protocol, "http/") {
					return "protocol " + protocol
				}
			}
			for _, field := range fieldsOf(name, value) {
				if _, found := slices.BinarySearch(hops, field); found {
					return "the header " + field
				}
			}
			for text := range texts(value) {
				if found := leftBehind.FindString(text); found != "" {
					return found
				}
				if byItself && schemeRead.MatchString(text) {
					return schemeRead.FindString(text)
				}
				if isRule(name) && callsTLS.MatchString(text) {
					return "tls"
				}
			}
			return ""
		})
	})
}

// warnOfFields tells of what Envoy puts into its question only where it is told to.
func (g *Gate) warnOfFields() {
	if g.Answer != answerRequest {
		return
	}
	fields := map[string]bool{}
	inMatchers(g.MatcherSetsRaw, func(name string, value any) string {
		return eachMatcher(name, value, func(name string, value any) string {
			for _, field := range fieldsOf(name, value) {
				fields[field] = true
			}
			return ""
		})
	})
	delete(fields, "Host")
	delete(fields, "Authorization")
	if len(fields) > 0 {
		g.logger.Warn("token_gate: answer request: the matcher reads the header "+strings.Join(slices.Sorted(maps.Keys(fields)), " and ")+
			", which is in Envoy's question only where `allowed_headers` of its ext_authz names it: add it there, or this gate sees no request that has it", zapAt(g.At))
	}
}

func isRule(name string) bool { return name == "expression" }

// protocolsOf are those that a matcher asks for.
func protocolsOf(name string, value any) (protocols []string) {
	for text := range texts(value) {
		if name == "protocol" {
			protocols = append(protocols, text)
		}
		if isRule(name) {
			for _, call := range callsProtocol.FindAllStringSubmatch(text, -1) {
				protocols = append(protocols, call[1])
			}
		}
	}
	return protocols
}

// fieldsOf are the headers that a matcher reads.
func fieldsOf(name string, value any) (fields []string) {
	add := func(field string) { fields = append(fields, http.CanonicalHeaderKey(field)) }
	if of, isMap := value.(map[string]any); isMap && (name == "header" || name == "header_regexp") {
		for field := range of {
			add(field)
		}
	}
	if slices.Contains(protocolsOf(name, value), "grpc") {
		add("Content-Type")
	}
	for text := range texts(value) {
		if isRule(name) {
			for calls, names := range map[*regexp.Regexp]*regexp.Regexp{callsHeader: namesOfHeader, callsRegexp: namesOfRegexp} {
				for _, found := range names.FindAllStringSubmatch(strings.Join(calls.FindAllString(text, -1), " "), -1) {
					add(found[1])
				}
			}
		}
		for _, found := range fieldRead.FindAllStringSubmatch(text, -1) {
			if found[1] == "cookie" {
				found[2] = "Cookie"
			}
			add(found[2])
		}
	}
	return fields
}

// eachMatcher looks at a matcher, and at those inside of a `not`, until something is found.
func eachMatcher(name string, value any, find func(name string, value any) string) string {
	sets, isNot := value.([]any)
	if name != "not" || !isNot {
		return find(name, value)
	}
	for _, set := range sets {
		matchers, _ := set.(map[string]any)
		for name, value := range matchers {
			if found := eachMatcher(name, value, find); found != "" {
				return found
			}
		}
	}
	return ""
}

// texts are the names and values of which a matcher is made.
func texts(value any) func(yield func(string) bool) {
	return func(yield func(string) bool) { eachText(value, yield) }
}

func eachText(value any, yield func(string) bool) bool {
	switch v := value.(type) {
	case string:
		return yield(v)
	case []any:
		for _, inner := range v {
			if !eachText(inner, yield) {
				return false
			}
		}
	case map[string]any:
		for key, inner := range v {
			if !yield(key) || !eachText(inner, yield) {
				return false
			}
		}
	}
	return true
}
