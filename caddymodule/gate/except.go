package gate

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// exceptions are paths that pass without a token.
type exceptions struct {
	exact   []string
	folders []string // with the slash at the end
}

func newExceptions(patterns []string) (exceptions, error) {
	var e exceptions
	for _, p := range patterns {
		folder, isFolder := strings.CutSuffix(p, "*")
		switch {
		case p == "/*":
			return e, fmt.Errorf("except /* would let everything through: leave the gate away instead")
		case !isPlain(strings.TrimSuffix(p, "*")) || strings.Contains(folder, "*") || isFolder && !strings.HasSuffix(folder, "/"):
			return e, fmt.Errorf("except %s: a path such as /healthz, or a folder such as /assets/*", p)
		case isFolder:
			e.folders = append(e.folders, folder)
		default:
			e.exact = append(e.exact, p)
		}
	}
	return e, nil
}

// Excepts reports whether nothing is asked of a request.
func (g *Gate) Excepts(r *http.Request) bool {
	exact, folder := g.excepted(r)
	return exact != "" || folder != ""
}

// excepted is what lets a request through: both are "" where its other path, if it has one,
// is not let through.
func (g *Gate) excepted(r *http.Request) (exact, folder string) {
	if exact, folder = g.except.which(r.URL); exact == "" && folder == "" {
		return "", ""
	}
	if to, named := destination(r, g.policy.sent); !named || to != nil && !g.except.match(to) {
		return "", ""
	}
	return exact, folder
}

// match lets through only a path that nobody behind can read in another way: its name may
// have blanks and letters of any script, the folder is written as it is in the word.
func (e *exceptions) match(u *url.URL) bool {
	exact, folder := e.which(u)
	return exact != "" || folder != ""
}

// which finds what lets a path through: one of both is "", or both are.
func (e *exceptions) which(u *url.URL) (exact, folder string) {
	if len(e.exact) == 0 && len(e.folders) == 0 {
		return "", ""
	}
	sent := u.RawPath
	switch {
	case sent == "":
		sent = u.Path
	case sent != u.EscapedPath():
		return "", ""
	}
	if Ambiguous(u) || hasVeiledDots(u.Path) {
		return "", ""
	}
	for _, p := range e.exact {
		if sent == p {
			return p, ""
		}
	}
	for _, p := range e.folders {
		if strings.HasPrefix(sent, p) { // who decodes nothing has to find the folder, too
			return "", p
		}
	}
	return "", ""
}

// hasVeiledDots reports whether a path goes elsewhere for who leaves out blanks of other
// scripts, characters without a width or a + that stands for a blank: a part is dots then, or
// nothing. Beside two dots any letter beyond ASCII may be one that an old code page makes a
// backslash of.
func hasVeiledDots(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if strings.Trim(segment, ".") != "" && strings.Trim(segment, "+") != "" && strings.TrimFunc(segment, func(c rune) bool { return c == '.' || isVeil(c) }) == "" {
			return true
		}
	}
	if !strings.ContainsFunc(path, func(c rune) bool { return c >= utf8.RuneSelf }) {
		return false
	}
	return strings.Contains(strings.Map(func(c rune) rune {
		if isVeil(c) {
			return -1
		}
		return c
	}, path), "..")
}

func isVeil(c rune) bool { return c == '+' || unicode.IsSpace(c) || unicode.Is(unicode.Cf, c) }

// isPlain says that a path in a configuration is written as everybody reads it: it
// begins with a slash, has no empty, . or .. segment, and no character that is escaped
// or that ends a part.
func isPlain(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(path[1:], "/"), "/") {
		if segment == "." || segment == ".." || segment == "" && path != "/" {
			return false
		}
	}
	for i := range len(path) {
		if !plainBytes[path[i]] {
			return false
		}
	}
	return true
}

// plainBytes are the pchar of RFC 3986 §3.3 without pct-encoded and without ;.
var plainBytes = func() (table [256]bool) {
	const pchar = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@/"
	for i := range len(pchar) {
		table[pchar[i]] = true
	}
	return table
}()
