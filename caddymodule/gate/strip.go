package gate

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
)

// familiar are identity headers that backends believe although nobody here
// sets them; a client must not be able to.
var familiar = []string{
	"Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name", "X-Remote-User", "X-Remote-Group", "X-Remote-Groups",
	"X-User", "X-User-Id", "X-User-Name", "X-User-Email", "X-User-Groups", "X-WebAuth-User", "X-Authenticated-User", "X-Auth-User",
	"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token",
	"X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-Preferred-Username", "X-Auth-Request-Access-Token",
}

// elsewhere are headers that name another address than the request has; some backends
// serve that one, and what was judged is this one.
var elsewhere = []string{"X-Original-URL", "X-Rewrite-URL"}

// cookiePrefix is of every cookie that the portal sets.
const cookiePrefix = "__Host-gatehouse"

// maxName is past the longest header name that can be an identity header.
const maxName = 64

// stripper knows names by their length, which rules most headers out at once.
type stripper [maxName][]string

func newStripper(names []string) (s stripper) {
	all := slices.Clone(names)
	for _, h := range DefaultHeaders {
		all = append(all, h.Name)
	}
	// Of a field that names a method other spellings go: Readings knows the one.
	for _, name := range slices.Concat(all, familiar, elsewhere, methodFields) {
		if folded := fold(name); !slices.Contains(s[len(name)], folded) {
			s[len(name)] = append(s[len(name)], folded)
		}
	}
	return s
}

// fold is how the backends that are laxest read a name: in any case, with every
// character that is no letter and no digit for - (CGI environments, where all of
// them become _; CVE-2025-64484).
func fold(name string) string {
	folded := []byte(name)
	for i, c := range folded {
		folded[i] = foldedBytes[c]
	}
	return string(folded)
}

var foldedBytes = func() (table [256]byte) {
	for i := range table {
		switch c := byte(i); {
		case 'A' <= c && c <= 'Z':
			table[i] = c + 'a' - 'A'
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			table[i] = c
		default:
			table[i] = '-'
		}
	}
	return table
}()

func (s *stripper) has(name string) bool {
	if len(name) >= maxName {
		return false
	}
	for _, folded := range s[len(name)] {
		if sameFolded(name, folded) {
			return true
		}
	}
	return false
}

// keeps says which names a client may not have the proxy delete: of all that we
// set. Authorization is among them where the gate forwards a token; HTTP2-Settings
// is never passed on.
func (s *stripper) keeps(name string) bool {
	return s.has(name) || strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "HTTP2-Settings")
}

func sameFolded(name, folded string) bool {
	for i := range len(folded) {
		if foldedBytes[name[i]] != folded[i] {
			return false
		}
	}
	return true
}

// Strip takes out of a request what could pass for our word: identity headers
// in every spelling, other addresses than its own, announced or not in trailers, their names in Connection
// (which would make the proxy delete what we set), our cookies, and the wish for
// another protocol. It comes before anything that can answer.
func (g *Gate) Strip(r *http.Request) {
	if values := r.Header["Upgrade"]; values != nil {
		upgrade(r.Header, values)
	}
	delete(r.Header, "Http2-Settings")
	for name := range r.Header {
		if g.strip.has(name) && !slices.Contains(methodFields, name) {
			delete(r.Header, name)
		}
	}
	if values := r.Header["Connection"]; len(values) > 0 {
		setOrDelete(r.Header, "Connection", values, ',', g.strip.keeps)
	}
	if values := r.Header["Cookie"]; len(values) > 0 {
		setOrDelete(r.Header, "Cookie", values, ';', isOurCookie)
	}
	if r.Trailer != nil {
		g.strip.trailer(r.Trailer)
		// Once one trailer is announced, net/http adds all that arrive after the body.
		r.Body = &trailerBody{r.Body, r.Trailer, &g.strip}
	}
}

// upgrade lets a request go on as if it had asked for no other protocol (RFC 9110 §7.8)
// than WebSocket. That alone is known to carry no further requests: a backend that
// takes h2c would answer any, from whomever they say they are, past every gate.
// Matchers see it in the one spelling in which the backend will.
func upgrade(h http.Header, values []string) {
	toSocket := len(values) == 1 && strings.EqualFold(values[0], "websocket")
	if toSocket {
		h["Upgrade"] = []string{"websocket"}
	} else {
		delete(h, "Upgrade")
	}
	isUpgrade := func(option string) bool { return strings.EqualFold(option, "upgrade") }
	asked := slices.ContainsFunc(h["Connection"], func(v string) bool { return anyElement(v, ',', isUpgrade) })
	setOrDelete(h, "Connection", h["Connection"], ',', isUpgrade)
	if toSocket && asked {
		h["Connection"] = []string{strings.Join(append(h["Connection"], "Upgrade"), ", ")}
	}
}

// Trailers strips the trailers of a request whose body was read before it came back.
func (g *Gate) Trailers(r *http.Request) { g.strip.trailer(r.Trailer) }

// trailer leaves nothing that backends which merge trailers into the headers would take
// for our word, or for a proof that nobody has looked at (RFC 9110 §6.5.1).
func (s *stripper) trailer(h http.Header) {
	for name := range h {
		if s.has(name) || isProof(name) {
			delete(h, name)
		}
	}
}

var proofs = []string{"authorization", "cookie", "proxy-authorization"}

func isProof(name string) bool {
	return slices.ContainsFunc(proofs, func(proof string) bool {
		return len(name) == len(proof) && sameFolded(name, proof)
	})
}

// trailerBody strips the trailers at the moment they are there: with the end
// of the body, before the proxy reads them.
type trailerBody struct {
	io.ReadCloser
	trailer http.Header
	strip   *stripper
}

func (b *trailerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.strip.trailer(b.trailer)
	}
	return n, err
}

func isOurCookie(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	// In any case: browsers guard the prefix in every case, so no other page set it.
	return len(name) >= len(cookiePrefix) && strings.EqualFold(name[:len(cookiePrefix)], cookiePrefix)
}

// setOrDelete drops list elements, and the header when none is left. It
// touches nothing when there is nothing to drop.
func setOrDelete(h http.Header, name string, values []string, separator byte, drop func(string) bool) {
	found := slices.ContainsFunc(values, func(v string) bool {
		return anyElement(v, separator, drop)
	})
	if !found {
		return
	}
	var kept []string
	for _, v := range values {
		var elements []string
		for element := range strings.SplitSeq(v, string(separator)) {
			if element = trim(element); element != "" && !drop(element) {
				elements = append(elements, element)
			}
		}
		if elements != nil {
			kept = append(kept, strings.Join(elements, string(separator)+" "))
		}
	}
	if kept == nil {
		delete(h, name)
		return
	}
	h[name] = kept
}

func anyElement(list string, separator byte, is func(string) bool) bool {
	for list != "" {
		element := list
		if i := strings.IndexByte(list, separator); i >= 0 {
			element, list = list[:i], list[i+1:]
		} else {
			list = ""
		}
		if is(trim(element)) {
			return true
		}
	}
	return false
}

// trim is of optional white space (RFC 9110 §5.6.3).
func trim(s string) string { return strings.Trim(s, " \t") }
