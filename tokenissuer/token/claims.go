package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Claims is what a verified access token says. It is shared between requests
// and never changed.
type Claims struct {
	Issuer   string
	Subject  string
	Audience []string
	Scopes   []string
	ClientID string // client_id, else azp, else, of our own tokens, the only audience
	ID       string // jti
	Type     string // typ of the header, as it was written

	IssuedAt, NotBefore, Expires int64 // Unix seconds; the first two are 0 when absent

	// All is every claim: string, json.Number, bool, nil, []any, map[string]any. It
	// is nil until somebody asks for it: ask Every and Value.
	All map[string]any

	foreign bool      // read by the rules for foreign issuers
	said    *gathered // instead of All, of claims that were just read
	raw     string    // the token, where All is still to be read from it
	common  *Common   // beside raw: what else is known
}

// Text returns a claim as the text of a header: a string as it is, an array
// joined by spaces, a number or a boolean printed, an object as JSON, and "" when
// it is absent or null, or an array that spaces cannot part again.
func (c *Claims) Text(name string) string {
	if c.All == nil && c.common != nil {
		switch name {
		case "sub":
			return c.Subject
		case "iss":
			return c.Issuer
		case "jti":
			return c.ID
		case "scope":
			return c.common.scope
		}
	}
	return text(c.Value(name))
}

// Value returns a claim, nil where it is absent.
func (c *Claims) Value(name string) any {
	if c.said != nil {
		value, _ := c.said.all.get(name)
		return value
	}
	return c.Every()[name]
}

// Every returns all claims. The map is made at the first call, and for claims that
// were kept for long from the token: until then they belong to one request.
func (c *Claims) Every() map[string]any {
	switch {
	case c.said != nil:
		c.All, c.said = c.said.all.object(), nil
	case c.All == nil && c.raw != "":
		c.All = payloadOf(c.raw)
	}
	return c.All
}

func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case []any:
		parts := make([]string, 0, len(v))
		for _, element := range v {
			part := text(element)
			if strings.ContainsAny(part, " \t") {
				// It would read as two, and the others without it as another list.
				return ""
			}
			if part != "" {
				parts = append(parts, part)
			}
		}
		return strings.Join(parts, " ")
	default:
		// bool and map[string]any, which cannot fail to print.
		printed, _ := marshal(v)
		return string(printed)
	}
}

// readClaims reads the payload of a token whose signature was verified.
func readClaims(payload []byte, typ string, foreign bool) (*Claims, error) {
	said, err := parseMembers(payload, usualClaims)
	if err != nil {
		return nil, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	c := &Claims{Type: typ, said: said, foreign: foreign}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !c.isAccess() {
		return nil, ErrType
	}
	return c, nil
}

func (c *Claims) read() (err error) {
	if c.Issuer, err = optionalText(c.said.all, "iss"); err != nil {
		return err
	}
	if c.Subject, err = optionalText(c.said.all, "sub"); err != nil {
		return err
	}
	if c.Subject == "" {
		// RFC 9068 §2.2. A token about nobody would reach the backend as a request
		// without an identity, let through.
		return errors.New("sub is absent")
	}
	if !IsPresentable(c.Subject) {
		return errors.New("sub is no name: it has a control character, or a blank at an end")
	}
	if c.ID, err = optionalText(c.said.all, "jti"); err != nil {
		return err
	}
	if c.Audience, err = readAudience(c.Value("aud")); err != nil {
		return err
	}
	if c.Scopes, err = readScopes(c.said.all); err != nil {
		return err
	}
	if err := c.readClient(); err != nil {
		return err
	}
	return c.readTimes()
}

func (c *Claims) readTimes() error {
	var present bool
	var err error
	// RFC 7519 leaves exp to the application; a token that never ends is none of ours.
	if c.Expires, present, err = seconds(c.said.all, "exp", math.Floor); err != nil {
		return err
	} else if !present {
		return errors.New("exp is absent")
	}
	if c.NotBefore, _, err = seconds(c.said.all, "nbf", math.Ceil); err != nil {
		return err
	}
	c.IssuedAt, _, err = seconds(c.said.all, "iat", math.Ceil)
	return err
}

// RFC 7519 §4.1.3: a string, or an array of strings. Neither is split.
func readAudience(aud any) ([]string, error) {
	if one, ok := aud.(string); ok {
		return []string{one}, nil
	}
	list, err := texts(aud, "aud")
	if err == nil && len(list) == 0 {
		err = errors.New("aud is empty")
	}
	return list, err
}

// A string is split at single spaces (RFC 8693 §4.2); in an array every element
// is one scope, whatever is in it. `scp` is not a scope claim.
func readScopes(all members) ([]string, error) {
	scope, present := all.get("scope")
	if !present {
		return nil, nil
	}
	one, ok := scope.(string)
	if !ok {
		return texts(scope, "scope")
	}
	var scopes []string
	for s := range strings.SplitSeq(one, " ") {
		if s != "" {
			scopes = append(scopes, s)
		}
	}
	return scopes, nil
}

func (c *Claims) readClient() error {
	id, err := optionalText(c.said.all, "client_id")
	if err != nil {
		return err
	}
	azp, err := optionalText(c.said.all, "azp")
	if err != nil {
		return err
	}
	switch {
	case id != "":
		c.ClientID = id
	case azp != "":
		c.ClientID = azp
	case !c.foreign && len(c.Audience) == 1:
		c.ClientID = c.Audience[0]
	}
	return nil
}

// isAccess tells an access token from an ID token of the same user, which has
// the same issuer, audience, key and typ (JWT-BCP, RFC 8725 §2.8). A typ of
// at+jwt says it (RFC 9068 §2.1); else only the claims can.
func (c *Claims) isAccess() bool {
	switch {
	case c.has("cnf"):
		return false // RFC 7800: good with a proof alone, and Bearer brings none
	case isAccessType(c.Type):
		return true
	case !c.foreign:
		return c.has("scope") && !c.has("azp") && !c.has("nonce") && !c.has("at_hash")
	case c.has("at_hash") || c.has("c_hash") || c.has("subject_issuer"):
		return false // the last is a Voucher's, of a Gatehouse elsewhere
	case !c.saysAccess("token_use") || !c.saysAccess("typ"):
		return false
	default:
		// No ID token has one of these; access tokens of the large issuers have.
		return c.has("scope") || c.has("client_id") || c.has("scp")
	}
}

// accessWords are what issuers write into an access token to tell it from their
// other ones: no specification names one for a JWT.
var accessWords = map[string][]string{
	"token_type": {"bearer"},
	"token_use":  {"access_token", "access"},
	"typ":        {"bearer", "jwt", TypeAccess, "application/" + TypeAccess},
}

// saysAccess is whether a claim that tells kinds of token apart tells of an access
// token, or is not there.
func (c *Claims) saysAccess(name string) bool {
	if !c.has(name) {
		return true
	}
	value, ok := c.Value(name).(string)
	return ok && slices.Contains(accessWords[name], strings.ToLower(value))
}

// IsPresentable is whether a text can stand in a header as it is: without control
// characters, and without blanks at its ends.
func IsPresentable(s string) bool {
	isControl := func(r rune) bool { return r < ' ' || r == 0x7f }
	return !strings.ContainsFunc(s, isControl) && strings.Trim(s, " ") == s
}

func (c *Claims) has(name string) bool {
	_, ok := c.said.all.get(name)
	return ok
}
