package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Access is what an access token says. Its members have the order of the
// documented tokens.
type Access struct {
	Issuer   string
	Subject  string
	Audience string // one string, never an array: clients in the field rely on it
	ID       string // jti
	Scopes   []string
	IssuedAt time.Time // also nbf
	Expires  time.Time

	ScopeText bool           // scope as one string (RFC 9068 §2.2.3), not as the documents' array
	ClientID  string         // client_id, "" leaves it out (RFC 9068 §2.2 wants it)
	AuthTime  time.Time      // auth_time, zero leaves it out
	Extra     map[string]any // further claims, in the order of their names
}

// Payload returns the token's payload.
func (a *Access) Payload() ([]byte, error) {
	o := newObject(320)
	o.text("sub", a.Subject)
	o.text("aud", a.Audience)
	o.time("nbf", a.IssuedAt)
	if a.ScopeText {
		o.text("scope", strings.Join(a.Scopes, " "))
	} else {
		o.texts("scope", a.Scopes)
	}
	o.text("iss", a.Issuer)
	o.time("exp", a.Expires)
	o.time("iat", a.IssuedAt)
	o.text("jti", a.ID)
	if a.ClientID != "" {
		o.text("client_id", a.ClientID)
	}
	if !a.AuthTime.IsZero() {
		o.time("auth_time", a.AuthTime)
	}
	return o.finish(a.Extra)
}

// Identity is what an ID token says (OpenID Connect Core §2).
type Identity struct {
	Issuer   string
	Subject  string
	ClientID string // aud and azp
	ID       string // jti
	IssuedAt time.Time
	Expires  time.Time

	Nonce    string         // "" leaves it out
	AuthTime time.Time      // zero leaves it out
	Extra    map[string]any // further claims, in the order of their names
}

// Payload returns the token's payload.
func (i *Identity) Payload() ([]byte, error) {
	o := newObject(320)
	o.text("sub", i.Subject)
	o.text("aud", i.ClientID)
	o.text("azp", i.ClientID)
	o.text("iss", i.Issuer)
	o.time("exp", i.Expires)
	o.time("iat", i.IssuedAt)
	o.text("jti", i.ID)
	if i.Nonce != "" {
		o.text("nonce", i.Nonce)
	}
	if !i.AuthTime.IsZero() {
		o.time("auth_time", i.AuthTime)
	}
	return o.finish(i.Extra)
}

// object writes a JSON object member by member. The order of members is part
// of the contract, and encoding/json would spell < and & as escapes.
type object struct {
	buf []byte
	err error
}

func newObject(size int) *object { return &object{buf: append(make([]byte, 0, size), '{')} }

func (o *object) name(name string) {
	if len(o.buf) > 1 {
		o.buf = append(o.buf, ',')
	}
	o.string(name)
	o.buf = append(o.buf, ':')
}

func (o *object) text(name, value string) {
	o.name(name)
	o.string(value)
}

func (o *object) time(name string, t time.Time) {
	o.name(name)
	o.buf = strconv.AppendInt(o.buf, t.Unix(), 10)
}

func (o *object) texts(name string, values []string) {
	o.name(name)
	o.buf = append(o.buf, '[')
	for i, v := range values {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.string(v)
	}
	o.buf = append(o.buf, ']')
}

func (o *object) string(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			o.any(s)
			return
		}
	}
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, s...)
	o.buf = append(o.buf, '"')
}

func (o *object) any(value any) {
	text, err := marshal(value)
	if err != nil {
		o.err = err
	}
	o.buf = append(o.buf, text...)
}

// marshal is json.Marshal without the escapes that are for HTML.
func marshal(value any) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

// registered are the names that Extra must not say again: a parser that takes
// the first of two and one that takes the last would read two tokens.
var registered = []string{
	"sub", "aud", "azp", "nbf", "scope", "iss", "exp", "iat", "jti",
	"client_id", "nonce", "auth_time",
}

func (o *object) finish(extra map[string]any) ([]byte, error) {
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if slices.Contains(registered, name) {
			return nil, fmt.Errorf("claim %q is not an extra one", name)
		}
		o.name(name)
		o.any(extra[name])
	}
	if o.err != nil {
		return nil, fmt.Errorf("writing claims: %w", o.err)
	}
	return append(o.buf, '}'), nil
}
