package token

import (
	"encoding/json"
	"errors"
	"fmt"
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
	all, err := parseObject(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	switch active, ok := all["active"].(bool); {
	case !ok:
		return nil, fmt.Errorf("%w: active is neither true nor false", ErrAnswer)
	case !active:
		return nil, ErrUnknown
	}
	delete(all, "active")
	for name, value := range all {
		if value == nil { // for absent, as some write it
			delete(all, name)
		}
	}
	c := &Claims{All: all, foreign: true}
	if !c.has("aud") {
		return nil, ErrAudience
	}
	if !c.isIntrospectedAccess() {
		return nil, ErrType
	}
	if !c.has("iss") {
		all["iss"] = issuer
	}
	if !c.has("sub") && c.has("client_id") {
		// RFC 9068 §2.2: where no resource owner is involved, sub is the client.
		all["sub"] = all["client_id"]
	}
	ends := c.has("exp")
	if !ends {
		all["exp"] = json.Number(strconv.FormatInt(now.Add(withoutEnd).Unix(), 10))
	}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !ends {
		delete(all, "exp") // nobody said it
	}
	return c, nil
}

// isIntrospectedAccess tells an access token from a refresh or an ID token, which
// issuers speak of at the same endpoint (RFC 7662 §2.1). RFC 7662 has no member for
// it: token_type is Bearer alone, which leaves those that need a proof out, and
// token_use and typ are what issuers in the field have.
func (c *Claims) isIntrospectedAccess() bool {
	return c.saysAccess("token_type") && c.saysAccess("token_use") && c.saysAccess("typ") && !c.has("at_hash") && !c.has("c_hash") && !c.has("cnf")
}
