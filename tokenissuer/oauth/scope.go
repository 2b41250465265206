package oauth

import (
	"slices"
	"strings"
)

// maxScopes bounds what one request may ask for: an issuer has dozens of scopes.
const maxScopes = 128

// Scopes is a set of scope tokens in the order they were asked for.
type Scopes []string

// ParseScopes reads a scope parameter (RFC 6749 §3.3): tokens with one space
// between them. "" is the omitted parameter; a repeated token counts once.
func ParseScopes(s string) (Scopes, error) {
	if s == "" {
		return nil, nil
	}
	var scopes Scopes
	for token := range strings.SplitSeq(s, " ") {
		if !isScopeToken(token) {
			return nil, FailParam(InvalidScope, ScopeNotAllowed, "scope")
		}
		if scopes.Has(token) {
			continue
		}
		if len(scopes) == maxScopes {
			return nil, FailParam(InvalidScope, ScopeNotAllowed, "scope")
		}
		scopes = append(scopes, token)
	}
	return scopes, nil
}

// isScopeToken is 1*( %x21 / %x23-5B / %x5D-7E ).
func isScopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '"' || c == '\\' || c > '~' {
			return false
		}
	}
	return s != ""
}

// Has says whether the set holds one scope.
func (s Scopes) Has(scope string) bool { return slices.Contains(s, scope) }

// Subset says whether every scope of s is in of.
func (s Scopes) Subset(of Scopes) bool {
	for _, scope := range s {
		if !of.Has(scope) {
			return false
		}
	}
	return true
}

// String is the scope parameter again.
func (s Scopes) String() string { return strings.Join(s, " ") }
