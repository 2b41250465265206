package login

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Browsers let nobody but this very host set cookies of this prefix, over https
// and for every path (RFC 6265bis §4.1.3.2). The gate keeps all cookies of it
// from the backend.
const (
	cookiePrefix  = "__Host-gatehouse-"
	sessionCookie = cookiePrefix + "login" // and …-1, …-2 where one is too small
	flowCookie    = cookiePrefix + "flow"  // and …-XXXX, one for each of the sign-ins that began together
)

const (
	// chunkSize keeps a cookie with its name and attributes under the 4,096 bytes
	// that browsers take (RFC 6265 §6.1).
	chunkSize = 3800

	// maxChunks keeps them all under the 16 KiB of headers that Caddy reads.
	maxChunks = 3

	// maxFlows is past the tabs that people open at once. Those beyond it begin anew.
	maxFlows = 64
)

// Brought is what a request brought along in our cookies. They are read before
// the gate takes them out of the request.
type Brought struct {
	chunks [maxChunks]string
	flow   named
	more   []named // further ones of that kind
	any    bool
	tossed bool // a cookie came twice: somebody else has set one of them
}

type named struct{ name, value string }

// Any reports whether a session is among them.
func (b *Brought) Any() bool { return b != nil && b.any }

// HasFlow reports whether a sign-in was begun in this browser.
func (b *Brought) HasFlow() bool { return b.flow.value != "" }

// String keeps the cookies out of logs.
func (Brought) String() string { return "cookies of a sign-in" }

// GoString keeps them out of %#v.
func (b Brought) GoString() string { return b.String() }

// Read finds our cookies. It allocates nothing, but where sign-ins began together.
func Read(h http.Header) (b Brought) {
	for _, line := range h["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			pair = strings.Trim(pair, " \t")
			if !strings.HasPrefix(pair, cookiePrefix) {
				continue
			}
			name, value, _ := strings.Cut(pair, "=")
			b.keep(name, value)
		}
	}
	return b
}

func (b *Brought) keep(name, value string) {
	var to *string
	switch name {
	case sessionCookie:
		to = &b.chunks[0]
	case sessionCookie + "-1":
		to = &b.chunks[1]
	case sessionCookie + "-2":
		to = &b.chunks[2]
	default:
		if name == flowCookie || strings.HasPrefix(name, flowCookie+"-") {
			b.keepFlow(named{name, value})
		}
		return
	}
	if *to != "" {
		b.tossed = true
		return
	}
	*to, b.any = value, true
}

func (b *Brought) keepFlow(c named) {
	twice := func(other named) bool { return other.name == c.name }
	switch {
	case b.flow.value == "":
		b.flow = c
	case twice(b.flow) || slices.ContainsFunc(b.more, twice):
		b.tossed = true
	case len(b.more) < maxFlows-1:
		b.more = append(b.more, c)
	}
}

// sealed are the parts of the session, in their order: the first begins with
// their number, so that one left over from a longer session does no harm.
func (b *Brought) sealed() ([maxChunks]string, int) {
	var parts [maxChunks]string
	first := b.chunks[0]
	if b.tossed || first == "" || first[0] < '1' || first[0] > '0'+maxChunks {
		return parts, 0
	}
	n := int(first[0] - '0')
	parts = b.chunks
	parts[0] = first[1:]
	for _, part := range parts[:n] {
		if part == "" {
			return parts, 0
		}
	}
	return parts, n
}

// setSession sets the cookies of a session, and takes away the chunks of the one
// before that it does not need. false: it is too large for any browser.
func setSession(w http.ResponseWriter, before *Brought, sealed string) bool {
	// Each part but the last is a whole number of base64 quanta, for each is decoded
	// by itself.
	const first = (chunkSize - 1) / 4 * 4
	const rest = chunkSize / 4 * 4
	n := 1
	if len(sealed) > first {
		n += (len(sealed) - first + rest - 1) / rest
	}
	if n > maxChunks {
		return false
	}
	for i := range maxChunks {
		size := min(len(sealed), rest)
		value := ""
		if i == 0 {
			size = min(len(sealed), first)
			value = strconv.Itoa(n)
		}
		value += sealed[:size]
		sealed = sealed[size:]
		if i < n || before.chunks[i] != "" {
			set(w, sessionName(i), value)
		}
	}
	return true
}

// clearSession takes away what the browser has of a session.
func clearSession(w http.ResponseWriter, b *Brought) {
	for i, chunk := range b.chunks {
		if chunk != "" {
			set(w, sessionName(i), "")
		}
	}
}

// Withdraw leaves the browser's session as it is: an answer that was to change it does
// not.
func Withdraw(w http.ResponseWriter) {
	const name = "Set-Cookie"
	lines := slices.DeleteFunc(w.Header()[name], func(line string) bool { return strings.HasPrefix(line, sessionCookie) })
	if len(lines) == 0 {
		w.Header().Del(name)
		return
	}
	w.Header()[name] = lines
}

func sessionName(chunk int) string {
	if chunk == 0 {
		return sessionCookie
	}
	return sessionCookie + "-" + strconv.Itoa(chunk)
}

// set sets a cookie that ends with the browser; "" removes it. Lax and not Strict:
// people come by links, and back from the issuer.
func set(w http.ResponseWriter, name, value string) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
