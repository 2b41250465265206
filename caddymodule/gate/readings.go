package gate

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Readings are what a backend may take a request for besides what it is. Of a request
// with other readings than can be named, and of one that is unusual in two ways at once,
// complete is false: a matcher's no to it counts for nothing.
func Readings(r *http.Request) (others []*http.Request, complete bool) {
	method, several := otherMethod(r)
	if several || Unclear(r) {
		return nil, false
	}
	if u := Upgraded(r); u != nil {
		others = append(others, u)
	}
	if method != "" {
		others = append(others, by(r, method))
	}
	if path := bare(r.URL.Path); path != r.URL.Path {
		others = append(others, at(r, path, r.URL.RawQuery))
	}
	switch end := strings.IndexAny(r.URL.Path, cuts); {
	case len(others) > 1, end >= 0 && (len(others) > 0 || bare(r.URL.Path[:end]) != r.URL.Path[:end] || isTwofold(&url.URL{Path: r.URL.Path[:end]})):
		return nil, false
	case end >= 0:
		return cut(r, end), true
	}
	return others, true
}

// methodFields name another method than the request has. Rails, Symfony, Laravel and
// others serve that one, most of them where the request is a POST, some with any.
var methodFields = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// otherMethod is the method that a request names beside its own, "" where it names none;
// several: more than one, or a list of them, of which nobody can say which counts. What
// stands behind an escaped ? or # is a query, too.
func otherMethod(r *http.Request) (method string, several bool) {
	note := func(named string) {
		switch named = strings.ToUpper(strings.TrimSpace(named)); {
		case named == "" || named == r.Method || named == method:
		case method != "" || strings.Trim(named, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "":
			several = true
		default:
			method = named
		}
	}
	for _, name := range methodFields {
		for _, named := range r.Header[name] {
			note(named)
		}
	}
	for _, query := range [...]string{r.URL.RawQuery, behind(r.URL.Path)} {
		for pair := range strings.FieldsFuncSeq(query, isBetweenPairs) {
			if name, named, _ := strings.Cut(pair, "="); isMethodName(unescaped(name)) {
				note(unescaped(named))
			}
		}
	}
	return method, several
}

// Changing is a request as a backend reads it that takes the method from elsewhere, where
// its own only reads and that one may change something.
func Changing(r *http.Request) *http.Request {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return r
	}
	switch method, several := otherMethod(r); {
	case several:
		return by(r, http.MethodPost)
	case method == "" || method == http.MethodGet || method == http.MethodHead:
		return r
	default:
		return by(r, method)
	}
}

// behind is what stands behind a place where some servers find the end of a path.
func behind(path string) string {
	if end := strings.IndexAny(path, cuts); end >= 0 {
		return path[end+1:]
	}
	return ""
}

// isBetweenPairs is of what parts a query: old servers took a semicolon for it, too.
func isBetweenPairs(c rune) bool { return c == '&' || c == ';' }

// isMethodName is whether a name of the query is _method, also to PHP: without blanks in
// front, with a dot or a blank for _, and up to a zero byte; or one of the fields, which
// ASP.NET takes from there.
func isMethodName(name string) bool {
	name, _, _ = strings.Cut(strings.TrimLeft(name, " "), "\x00")
	return strings.EqualFold(name, "_method") || strings.EqualFold(name, ".method") ||
		slices.ContainsFunc(methodFields, func(field string) bool { return strings.EqualFold(name, field) })
}

// unescaped is a piece of a query as it is meant; a broken escape stays as it is.
func unescaped(text string) string {
	if !strings.ContainsAny(text, "%+") {
		return text
	}
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	var plain strings.Builder
	for at := 0; at < len(text); at++ {
		if at+3 <= len(text) {
			if one, err := url.QueryUnescape(text[at : at+3]); err == nil && text[at] == '%' {
				plain.WriteString(one)
				at += 2
				continue
			}
		}
		if text[at] == '+' {
			plain.WriteByte(' ')
			continue
		}
		plain.WriteByte(text[at])
	}
	return plain.String()
}

// ends are what Windows takes off the end of a file's name.
const ends = ". "

// bare is a path as Windows finds its files: without dots and blanks at the ends of its
// parts. A part of dots alone stays. Blanks in front go, too, which Spring left out.
func bare(path string) string {
	if !strings.Contains(path, "./") && !strings.Contains(path, " /") && !strings.Contains(path, "/ ") && strings.TrimRight(path, ends) == path {
		return path
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if trimmed := strings.TrimLeft(strings.TrimRight(part, ends), " "); trimmed != "" {
			parts[i] = trimmed
		}
	}
	return strings.Join(parts, "/")
}

// cuts are where servers that decode a path first, and then look for its end, find it.
const cuts = "?#"

// cut is a request as those servers read it: with what stands behind as its query, in
// front of its query, or nowhere.
func cut(r *http.Request, end int) []*http.Request {
	path, rest := r.URL.Path[:end], r.URL.Path[end+1:]
	return []*http.Request{at(r, path, r.URL.RawQuery), at(r, path, rest), at(r, path, rest+"&"+r.URL.RawQuery)}
}

// at is a request for another path.
func at(r *http.Request, path, query string) *http.Request {
	u, to := *r, *r.URL
	to.Path, to.RawPath, to.RawQuery = path, "", query
	u.URL = &to
	if r.RequestURI != "" {
		u.RequestURI = to.RequestURI()
	}
	return &u
}

// by is a request with another method.
func by(r *http.Request, method string) *http.Request {
	u := *r
	u.Method = method
	return &u
}
