package portal

import (
	"context"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Addresses proves with one-time codes that people own an address, for something
// else than a sign-in. Errors are *oauth.Error.
type Addresses interface {
	// Kinds is where codes can be sent; none: no page offers what needs them.
	Kinds() []store.IdentifierKind

	// SendTo sends a code. Whether anybody has an account with the address must not
	// show. Where it is too early for another one, that which was sent for the same
	// Once is the answer.
	SendTo(ctx context.Context, now time.Time, d Destination) (Sent, error)

	// Prove returns the address of who has the code, as it is stored. The writes use
	// the code up, and are applied with what it is for.
	Prove(ctx context.Context, now time.Time, d Destination, token, code string) (to string, writes []store.Write, err error)
}

// addressable are the kinds of address that codes can be sent to.
func (p *Portal) addressable() []store.IdentifierKind {
	if p.o.Addresses == nil {
		return nil
	}
	return p.o.Addresses.Kinds()
}

// list names kinds, such as "username, e-mail address or phone number".
func (v *visit) list(kinds []store.IdentifierKind) string {
	var names []string
	for _, k := range kinds {
		names = append(names, v.words.T("kind."+string(k)))
	}
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], v.words.T("comma")) + v.words.T("or") + names[last]
}

// noAddress says what is wrong with an address that is of none of these kinds.
func (v *visit) noAddress(to string, kinds []store.IdentifierKind) *problem {
	text := v.words.T("login.empty.name", v.list(kinds))
	if to != "" && len(kinds) == 1 {
		text = v.words.T("contact.bad." + string(kinds[0]))
	}
	return &problem{"username", text}
}

// addressField asks for an address of these kinds.
func (v *visit) addressField(kinds []store.IdentifierKind, to, hint string) field {
	f := field{Name: "username", Label: capital(v.list(kinds)), Value: to, Type: "text", Autocomplete: "username", Hint: hint}
	if len(kinds) == 1 {
		f.Mode = keyboards[kinds[0]]
	}
	return f
}

// keyboards are the ones a phone shows for what is typed.
var keyboards = map[store.IdentifierKind]string{store.ByEmail: "email", store.ByPhone: "tel"}

// owner takes the code that was sent.
func (v *visit) owner() (to string, writes []store.Write, wrong *problem, err error) {
	sent, code := v.pending.Code, v.typedCode()
	if code == "" {
		return "", nil, &problem{"code", v.words.T("code.empty")}, nil
	}
	d := v.destination(sent.Source, sent.To)
	d.Usage, d.Kind = sent.Usage, sent.Kind
	to, writes, err = v.p.o.Addresses.Prove(v.r.Context(), v.now, d, sent.Token, code)
	if err != nil {
		wrong, err = v.wrongCode(err)
	}
	return to, writes, wrong, err
}
