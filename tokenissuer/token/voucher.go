package token

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Voucher repeats to a backend what the token of a caller says, which the backend
// does not get. It has `azp`, by which its issuer takes it for no access token,
// `subject_issuer`, by which no gate elsewhere does, and `scope`, by which it is no
// ID token.
type Voucher struct {
	Issuer   string
	ID       string // jti
	Audience string // "" is the audience of the caller's token
	Caller   *Claims
	IssuedAt time.Time
	Expires  time.Time
}

// ownOfVoucher are the claims that are not repeated: a voucher has its own, or
// has no use for them.
var ownOfVoucher = []string{
	"sub", "subject_issuer", "aud", "azp", "client_id", "scope", "iss", "exp", "nbf", "iat", "jti", "nonce", "at_hash", "c_hash",
}

// Payload returns the token's payload.
func (v *Voucher) Payload() ([]byte, error) {
	c, o := v.Caller, newObject(512)
	o.text("sub", v.own(c.Subject))
	o.text("subject_issuer", c.Issuer)
	switch {
	case v.Audience != "":
		o.text("aud", v.Audience)
	case len(c.Audience) == 1:
		o.text("aud", c.Audience[0])
	default:
		o.texts("aud", c.Audience)
	}
	if c.ClientID == "" {
		o.text("azp", v.Issuer) // who asked for this one; a subject is no client
	} else {
		o.text("azp", v.own(c.ClientID))
		o.text("client_id", v.own(c.ClientID))
	}
	o.text("scope", strings.Join(c.Scopes, " "))
	o.text("iss", v.Issuer)
	o.time("exp", v.Expires)
	o.time("iat", v.IssuedAt)
	o.text("jti", v.ID)
	for _, name := range slices.Sorted(maps.Keys(c.Every())) {
		if !slices.Contains(ownOfVoucher, name) {
			o.name(name)
			o.any(c.All[name])
		}
	}
	if o.err != nil {
		return nil, fmt.Errorf("writing claims: %w", o.err)
	}
	return append(o.buf, '}'), nil
}

// own is what somebody is called under this issuer's name. A name means one of its
// own to whoever reads it beside `iss`, so that of a foreign issuer's is longer: an
// issuer has no # in it.
func (v *Voucher) own(name string) string {
	if v.Caller.Foreign() {
		return v.Caller.Issuer + "#" + name
	}
	return name
}
