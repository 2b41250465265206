package gate_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// reader is how a program behind the gate makes a path of what it receives.
type reader struct {
	name string
	read func(escaped string) string
}

// readers are how servers, frameworks and browsers do it, each alone; models
// adds what one of them makes of another's result.
var readers = []reader{
	{"as it is", func(p string) string { return p }},
	{"decoded", decodeOnce},
	{"decoded twice", func(p string) string { return decodeOnce(decodeOnce(p)) }},
	{"decoded thrice", func(p string) string { return decodeOnce(decodeOnce(decodeOnce(p))) }},
	{"Go: cleaned", func(p string) string { return path.Clean("/" + decodeOnce(p)) }},
	{"cleaned, then decoded", func(p string) string { return decodeOnce(path.Clean("/" + p)) }},
	{"Tomcat: cut at ;", func(p string) string { return path.Clean("/" + decodeOnce(withoutParameters(p))) }},
	{"decoded, then cut at ;", func(p string) string { return path.Clean("/" + withoutParameters(decodeOnce(p))) }},
	{"IIS: backslashes", func(p string) string { return path.Clean("/" + strings.ReplaceAll(decodeOnce(p), `\`, "/")) }},
	{"IIS: decoded twice", func(p string) string {
		return path.Clean("/" + strings.ReplaceAll(decodeOnce(decodeOnce(p)), `\`, "/"))
	}},
	{"nginx: merged slashes", func(p string) string { return mergeSlashes(decodeOnce(p)) }},
	{"in any case", func(p string) string { return strings.ToLower(path.Clean("/" + decodeOnce(p))) }},
	{"WHATWG URL", whatwg},
	{"C: ends at NUL", func(p string) string {
		before, _, _ := strings.Cut(decodeOnce(p), "\x00")
		return path.Clean("/" + before)
	}},
	{"control characters left out", func(p string) string {
		return path.Clean("/" + strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return -1
			}
			return r
		}, decodeOnce(p)))
	}},
	{"overlong UTF-8", func(p string) string { return path.Clean("/" + overlong.Replace(decodeOnce(p))) }},
	{"broken UTF-8 left out", func(p string) string { return path.Clean("/" + strings.ToValidUTF8(decodeOnce(p), "")) }},
	{"Windows: names of files", windows},
	{"cut at an escaped ?", func(p string) string { before, _, _ := strings.Cut(decodeOnce(p), "?"); return before }},
	{"cut at an escaped #", func(p string) string { before, _, _ := strings.Cut(decodeOnce(p), "#"); return before }},
	{"wide characters made narrow", func(p string) string { return path.Clean("/" + narrow.Replace(decodeOnce(p))) }},
}

// models reads a path by every reader, and by every pair of them in a row.
func models(escaped string, each func(name, path string)) {
	for _, first := range readers {
		once := first.read(escaped)
		each(first.name, once)
		for _, then := range readers {
			each(first.name+", then "+then.name, then.read(once))
		}
	}
}

// decodeOnce is lenient, as many are: what is no escape stays.
func decodeOnce(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if i+2 < len(s) && s[i] == '%' {
			if decoded, err := url.PathUnescape(s[i : i+3]); err == nil {
				out.WriteString(decoded)
				i += 2
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

func withoutParameters(p string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

// windows takes dots and blanks off the ends of parts, but leaves dots alone.
func windows(p string) string {
	segments := strings.Split(decodeOnce(p), "/")
	for i, s := range segments {
		if dots := strings.TrimRight(s, " "); strings.Trim(dots, ".") == "" {
			segments[i] = dots
		} else {
			segments[i] = strings.TrimRight(s, ". ")
		}
	}
	return path.Clean("/" + strings.Join(segments, "/"))
}

func mergeSlashes(p string) string {
	for strings.Contains(p, "//") {
		p = strings.ReplaceAll(p, "//", "/")
	}
	return path.Clean(p)
}

// whatwg is https://url.spec.whatwg.org/#path-state for a special scheme.
func whatwg(p string) string {
	p = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(p)
	var out []string
	segments := strings.Split(strings.TrimPrefix(p, "/"), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch strings.ReplaceAll(strings.ToLower(s), "%2e", ".") {
		case "..":
			out = out[:max(0, len(out)-1)]
		case ".":
		default:
			out = append(out, s)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

var (
	overlong = strings.NewReplacer("\xc0\xae", ".", "\xc0\xaf", "/", "\xc1\x9c", `\`, "\xe0\x80\xae", ".", "\xe0\x80\xaf", "/")
	narrow   = strings.NewReplacer("．", ".", "／", "/", "＼", `\`, "；", ";", "％", "%", "․", ".", "‥", "..", "\u037e", ";", "⁄", "/", "∕", "/")
)

// What becomes of letters in old code pages, and where those without a width are left out.
var (
	oldPages  = strings.NewReplacer("¥", "/", "₩", "/", "\u20e5", "/", "\u0338", "/")
	widthless = strings.NewReplacer("\u200b", "", "\ufeff", "", "\u00ad", "", "\u00a0", "", "\u3000", "", "+", "", " ", "")
)

var pathSeeds = []string{
	"/assets/a.js", "/assets/../admin/x", "/assets/%2e%2e/admin/x", "/assets/..%2fadmin/x", "/assets/%252e%252e/admin", `/assets/..\admin`, "/assets/..;/admin/x",
	"/assets/..%00/admin", "/assets/..%c0%af/admin", "//admin/x", "/admin/x", "/ADMIN/x", "/a/%EF%BC%8E%EF%BC%8E/admin/x", "/x%2f..%2fadmin/x", "/%09admin/x", "/admin%09/x",
	"/assets/a%c3%bc", "/a/\x7f/../admin/x", "/assets/.%09./admin", "/public/%25%32%65%25%32%65/admin/x",
	"/admin./x", "/admin%20/x", "/admin.%20./x", "/x/..%20/admin/x", "/admin%3F/x", "/admin/%3Fx", "/admin%23/x", "/admin/x%3F%23", "/admin.%3Fx",
}

// atoms are what paths that mislead are made of.
var atoms = []string{
	"/", "assets", "admin", "ADMIN", "..", ".", "%2e", "%2E", "%252e", "%2f", "%2F", "%252f", "%5c", `\`, "%255c", ";", "%3b", "%253b", "%25", "2e", "2f", "5c", "%", "a", "x",
	"%00", "%09", "%0a", "%0d", "%7f", "%c0%ae", "%c0%af", "%ff", "%c2%85", "．", "%EF%BC%8F", "＼", "；", "；a=b", "=1", ",", ":", "@", "~", "%20", "+", "#", "%23", "%3f", ". ", ".%20", "%2e%20", "/..", "/./", "//", "¥", "%E2%82%A9", "%E2%80%8B", "%E3%80%80", "\u0338",
}

// compose spells a path of atoms, which a mutation of its text would hardly find.
func compose(from string, which []byte) string {
	var p strings.Builder
	p.WriteString(from)
	for _, w := range which[:min(len(which), 12)] {
		p.WriteString(atoms[int(w)%len(atoms)])
	}
	return p.String()
}

// Whoever reads an excepted path, in whichever way, reads one inside the folder.
func FuzzNobodyReadsAnExceptedPathElsewhere(f *testing.F) {
	s := newScene(f)
	g := s.gate(f, gate.Config{Except: []string{"/assets/*"}})
	fuzzPaths(f, "/assets/", func(t *testing.T, target string, u *url.URL) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = u
		if _, err := g.Check(r, s.now); err != nil {
			return
		}
		models(u.EscapedPath(), func(name, read string) {
			if clean := path.Clean(read) + "/"; !strings.HasPrefix(clean, "/assets/") {
				t.Errorf("%q passed without a token, and is %q to who reads it %s", target, read, name)
			}
		})
		for _, veiled := range []*strings.Replacer{oldPages, widthless} {
			if read := veiled.Replace(decodeOnce(u.EscapedPath())); !strings.HasPrefix(path.Clean(read)+"/", "/assets/") {
				t.Errorf("%q passed without a token, and is %q to who knows fewer characters", target, read)
			}
		}
	})
}

// A path that is not under /admin/, by none of its readings, and is not judged for
// having others is not under /admin/ for anybody.
func FuzzNobodyReadsAnUnmatchedPathInside(f *testing.F) {
	fuzzPaths(f, "/", func(t *testing.T, target string, u *url.URL) {
		others, complete := gate.Readings(&http.Request{Method: http.MethodGet, URL: u})
		if inside(u.Path) || !complete || slices.ContainsFunc(others, func(r *http.Request) bool { return inside(r.URL.Path) }) {
			return
		}
		models(u.EscapedPath(), func(name, read string) {
			if inside(read) {
				t.Errorf("%q was not judged, and is %q to who reads it %s", target, read, name)
			}
		})
	})
}

// fuzzPaths tries any text, and what is composed of atoms, as net/http would take it.
func fuzzPaths(f *testing.F, from string, try func(t *testing.T, target string, u *url.URL)) {
	for _, seed := range pathSeeds {
		f.Add(seed, []byte{4, 0, 2})
	}
	f.Fuzz(func(t *testing.T, text string, which []byte) {
		for _, target := range []string{text, compose(from, which)} {
			if u, err := url.ParseRequestURI(target); err == nil && u.Host == "" && u.Scheme == "" && target[0] == '/' {
				try(t, target, u)
			}
		}
	})
}

// inside is Caddy's own path matcher: in any case.
func inside(p string) bool { return strings.HasPrefix(strings.ToLower(p), "/admin/") }
