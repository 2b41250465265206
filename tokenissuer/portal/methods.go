package portal

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// method is one way to sign in.
type method struct {
	id       string
	password *account.Source      // nil: by one-time code
	by       store.IdentifierKind // where the code goes
}

// kinds are what a person may type as the name.
func (m method) kinds() []store.IdentifierKind {
	switch {
	case m.password == nil:
		return []store.IdentifierKind{m.by}
	case len(m.password.Identifiers) == 0:
		return []store.IdentifierKind{store.ByUsername, store.ByEmail}
	}
	return m.password.Identifiers
}

// nameOf is what an account signs in with, "" where it cannot.
func (m method) nameOf(who store.Account) string {
	names := map[store.IdentifierKind]string{store.ByUsername: who.Username, store.ByEmail: who.Email, store.ByPhone: who.Phone}
	for _, kind := range m.kinds() {
		if names[kind] != "" {
			return names[kind]
		}
	}
	return ""
}

// method finds a source that works here. A one-time code needs somebody who
// sends it.
func (p *Portal) method(source string) (method, bool) {
	for i := range p.o.Sources {
		if p.o.Sources[i].ID == source {
			return method{id: source, password: &p.o.Sources[i]}, true
		}
	}
	if p.o.Codes != nil {
		if kind, ok := p.o.Codes.Kind(source); ok {
			return method{id: source, by: kind}, true
		}
	}
	return method{}, false
}

// sourcesOf are the sources by which a client lets people sign in, the preferred
// first. The portal itself takes every one.
func (p *Portal) sourcesOf(c *client.Client) []string {
	if c != nil {
		return c.Sources
	}
	return p.o.Order
}

// methods are the ways to sign in for this request.
func (v *visit) methods() ([]method, *client.Client, error) {
	app, err := v.app()
	if err != nil {
		return nil, nil, err
	}
	var ms []method
	for _, source := range v.p.sourcesOf(app) {
		if wanted := v.pending.Request.Source; wanted != "" && wanted != source {
			continue
		}
		if m, ok := v.p.method(source); ok {
			ms = append(ms, m)
		}
	}
	if len(ms) == 0 {
		return nil, nil, oauth.Fail(oauth.InvalidRequest, NoSource)
	}
	return ms, app, nil
}

// called is the method a person chose, or the preferred one.
func called(ms []method, source string) (method, bool) {
	if source == "" {
		return ms[0], true
	}
	i := slices.IndexFunc(ms, func(m method) bool { return m.id == source })
	if i < 0 {
		return method{}, false
	}
	return ms[i], true
}

// names is what may be typed, such as "username or e-mail address".
func (v *visit) names(m method) string {
	return v.list(m.kinds())
}

func capital(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[n:]
}

// nameField asks for the name that a method signs in with.
func (v *visit) nameField(m method, value string) field {
	f := field{Name: "username", Label: capital(v.names(m)), Value: value, Type: "text", Autocomplete: "username"}
	if kinds := m.kinds(); len(kinds) == 1 {
		f.Mode = keyboards[kinds[0]]
	}
	if m.password == nil { // no password belongs to it: let the browser offer what it knows
		f.Autocomplete = keyboards[m.by]
	}
	return f
}
