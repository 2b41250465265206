package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// ErrAnswer says that what an issuer answered is no introspection answer.
var ErrAnswer = errors.New("not an introspection answer")

// withoutEnd is how long a token is spoken of whose issuer does not say when it
// ends. It is asked about again long before.
const withoutEnd = time.Hour

// ReadIntrospection reads what a foreign issuer answered to what an opaque token
// stands for (RFC 7662 §2.2). It is ErrUnknown where it says that the token is
// not active, and ErrAnswer where it says neither that nor that it is. Claims.Check
// is still to be asked.
//
// The issuer was asked by its own address, so `iss` may be left out; `aud` may not:
// RFC 7662 §4 has the issuer judge whether a token is for whoever asks, and those
// that do not judge leave it out, too.
func ReadIntrospection(text []byte, issuer string, now time.Time) (*Claims, error) {
	said, err := parseMembers(text, usualClaims)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	value, _ := said.all.get("active")
	switch active, ok := value.(bool); {
	case !ok:
		return nil, fmt.Errorf("%w: active is neither true nor false", ErrAnswer)
	case !active:
		return nil, ErrUnknown
	}
	// null is for absent, as some write it.
	said.all = slices.DeleteFunc(said.all, func(m member) bool { return m.name == "active" || m.value == nil })
	c := &Claims{said: said, foreign: true}
	if !c.has("aud") {
		return nil, ErrAudience
	}
	if !c.isIntrospectedAccess() {
		return nil, ErrType
	}
	if !c.has("iss") {
		c.say("iss", issuer)
	}
	if !c.has("sub") && c.has("client_id") {
		// RFC 9068 §2.2: where no resource owner is involved, sub is the client.
		c.say("sub", c.Value("client_id"))
	}
	ends := c.has("exp")
	if !ends {
		c.say("exp", json.Number(strconv.FormatInt(now.Add(withoutEnd).Unix(), 10)))
	}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if c.Every(); !ends { // they are kept as they are, for many requests
		delete(c.All, "exp") // nobody said it
	}
	return c, nil
}

func (c *Claims) say(name string, value any) { c.said.all = append(c.said.all, member{name, value}) }

// isIntrospectedAccess tells an access token from a refresh or an ID token, which
// issuers speak of at the same endpoint (RFC 7662 §2.1). RFC 7662 has no member for
// it: token_type is Bearer alone, which leaves those that need a proof out, and
// token_use and typ are what issuers in the field have.
func (c *Claims) isIntrospectedAccess() bool {
	return c.saysAccess("token_type") && c.saysAccess("token_use") && c.saysAccess("typ") && !c.has("at_hash") && !c.has("c_hash") && !c.has("cnf")
}
