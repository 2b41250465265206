package gate

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Header is an identity header: Value is text with {claim.<name>} where a
// claim goes. A header one of whose claims is absent is left out.
type Header struct{ Name, Value string }

// DefaultHeaders are what the backend gets where nothing else is said.
var DefaultHeaders = []Header{
	{"X-Auth-Subject", "{claim.sub}"},
	{"X-Auth-Client", "{claim.client_id}"},
	{"X-Auth-Scope", "{claim.scope}"},
	{"X-Auth-Issuer", "{claim.iss}"},
}

// defaultSet is one for all gates, so that they share what is rendered of it.
var defaultSet = func() *headerSet {
	set, err := compileHeaders(DefaultHeaders)
	if err != nil {
		panic(err) // the list above is fixed
	}
	return set
}()

// headerSet is compiled headers.
type headerSet struct {
	names     []string // canonical
	templates [][]part
}

// part is text, or the claim whose text goes there.
type part struct{ text, claim string }

func newHeaderSet(headers []Header) (*headerSet, error) {
	if headers == nil {
		return defaultSet, nil
	}
	return compileHeaders(headers)
}

func compileHeaders(headers []Header) (*headerSet, error) {
	set := &headerSet{}
	for _, h := range headers {
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		if err := checkHeaderName(name); err != nil {
			return nil, err
		}
		if slices.Contains(set.names, name) {
			return nil, fmt.Errorf("header %s stands twice", name)
		}
		template, err := parseTemplate(h.Value)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		set.names = append(set.names, name)
		set.templates = append(set.templates, template)
	}
	return set, nil
}

// reserved are headers with a meaning of their own on the way to the backend. As
// identity headers they would be deleted from every request.
var reserved = []string{
	"Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Expect", "Host",
	"Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Accept", "Forwarded", "Origin", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Uri",
	"X-Original-Method", "X-Original-Url", "X-Rewrite-Url",
}

func checkHeaderName(name string) error {
	for i := range len(name) {
		c := name[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			// Backends read _ and . as -, so two such names would be one.
			return fmt.Errorf("%q is not a header name: letters, digits and -", name)
		}
	}
	if name == "" || len(name) >= maxName {
		return errors.New("a header name has 1 to 63 characters")
	}
	if slices.Contains(reserved, name) {
		if name == "Authorization" {
			return fmt.Errorf("%s cannot be an identity header: `forward` says what becomes of it", name)
		}
		return fmt.Errorf("%s cannot be an identity header: it has a meaning of its own on the way to the backend", name)
	}
	return nil
}

func parseTemplate(value string) ([]part, error) {
	const open = "{claim."
	var parts []part
	for value != "" {
		text, rest, found := strings.Cut(value, open)
		if strings.ContainsAny(text, "{}\r\n\x00") {
			return nil, errors.New("a value is text with {claim.NAME} in it")
		}
		if text != "" {
			parts = append(parts, part{text: text})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" {
			return nil, errors.New("a value is text with {claim.NAME} in it")
		}
		parts = append(parts, part{claim: name})
		value = after
	}
	if parts == nil {
		return nil, errors.New("a value is text with {claim.NAME} in it, such as {claim.sub}")
	}
	return parts, nil
}

// needs is what is remembered of a token's values.
func (s *headerSet) needs() needs {
	if s == defaultSet {
		return needs{}
	}
	return needs{bytes: memoCost, copies: 1}
}

func (s *headerSet) render(c *token.Claims) []string {
	values := make([]string, len(s.templates))
	for i, template := range s.templates {
		values[i] = renderOne(template, c)
	}
	return values
}

func renderOne(template []part, c *token.Claims) string {
	var out strings.Builder
	for _, p := range template {
		text := p.text
		if p.claim != "" {
			if text = Text(c, p.claim); text == "" {
				// Half a value could be somebody else's whole one.
				return ""
			}
		}
		out.WriteString(text)
	}
	return out.String()
}

// Text is a claim as a header or a placeholder may carry it. `client_id` is
// the client even of tokens that name it by their audience.
func Text(c *token.Claims, name string) string {
	if name == "client_id" {
		return presentable(c.ClientID)
	}
	return presentable(c.Text(name))
}

// presentable is a text that a header can say as it is, else "": without control
// characters, and without blanks at its ends, which readers take off. Mended, it
// could be somebody else's: "admin" of "ad\x01min ".
func presentable(s string) string {
	if token.IsPresentable(s) {
		return s
	}
	return ""
}

// Pass is a request that may go on.
type Pass struct {
	Claims   *token.Claims // nil where the request passed without a token
	Excepted bool          // nothing was asked
	Shadowed *Refusal      // what a gate in the shadow would have said
	Lapsed   *Refusal      // what is wrong with a token of a cookie, where none is needed
	SignIn   string        // of the browser whose cookie has brought the token; its streams end with it

	raw     string
	of      *record // the token's
	forward string  // the token that the backend gets; "" is none
	headers *headerSet
	values  []string
	own     [4]string // of the default headers, so that they need no memory of their own
	by      *Gate
	earlier *Pass // of the gate before this one on the route
}

var (
	excepted  = &Pass{Excepted: true}
	anonymous = &Pass{}
)

// Names are the identity headers that a gate sets or leaves out.
func (g *Gate) Names() []string { return g.headers.names }

// Text is a claim as a placeholder carries it, "" where there is none.
func (p *Pass) Text(name string) string {
	if p.Claims == nil {
		return ""
	}
	return Text(p.Claims, name)
}

// String keeps the token out of logs.
func (p *Pass) String() string {
	if p.Claims == nil {
		return "pass without a token"
	}
	return "pass of " + p.Claims.Subject
}

// GoString keeps the token out of %#v too.
func (p *Pass) GoString() string { return p.String() }

// Apply sets the identity headers, and forwards what the gate forwards in the
// place of the token. A request that passed without a token keeps its
// Authorization.
func (p *Pass) Apply(h http.Header) {
	if p.Claims == nil {
		return
	}
	if !p.by.shadow { // in the shadow everything goes on as it came
		authorize(h, p.forward)
	}
	// A header's values belong to the request, whose handlers may change them in
	// place; one array serves all of them.
	for i, name := range p.headers.names {
		if p.values[i] == "" {
			delete(h, name)
			continue
		}
		h[name] = p.values[i : i+1 : i+1]
	}
}
