package gate

import (
	"net/http"
	"slices"
	"strings"
)

// WithMediaType are the readings of a request, and each of them with its media type in small
// letters: to backends those are the same (RFC 9110 §8.3.1).
func WithMediaType(r *http.Request, others []*http.Request) []*http.Request {
	if !slices.ContainsFunc(r.Header["Content-Type"], func(field string) bool { return inSmallLetters(field) != field }) {
		return others
	}
	for _, u := range append(slices.Clone(others), r) {
		small := *u
		small.Header = u.Header.Clone()
		for i, field := range small.Header["Content-Type"] {
			small.Header["Content-Type"][i] = inSmallLetters(field)
		}
		others = append(others, &small)
	}
	return others
}

// inSmallLetters leaves the parameters as they are: a boundary has letters of its own.
func inSmallLetters(field string) string {
	media, rest, more := strings.Cut(field, ";")
	if media = strings.ToLower(media); more {
		return media + ";" + rest
	}
	return media
}
