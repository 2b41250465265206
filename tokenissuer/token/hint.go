package token

import "fmt"

// Hint is what one of our own ID tokens says when a client sends it back as
// id_token_hint (OpenID Connect RP-Initiated Logout §2).
type Hint struct {
	Issuer, Subject, ClientID, Session string
}

// ReadHint reads an ID token that a key of ours signed, an expired one too: it
// says on whose behalf something is asked, and opens nothing.
func ReadHint(raw string, keys Keys) (Hint, error) {
	sealed, err := Parse(raw)
	if err != nil {
		return Hint{}, err
	}
	if _, err := sealed.signer(keys); err != nil {
		return Hint{}, err
	}
	payload, err := parseMembers(sealed.payload, usualClaims)
	if err != nil {
		return Hint{}, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	var h Hint
	for name, into := range map[string]*string{"iss": &h.Issuer, "sub": &h.Subject, "azp": &h.ClientID, "sid": &h.Session} {
		if *into, err = optionalText(payload.all, name); err != nil {
			return Hint{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	if _, access := payload.all.get("scope"); access || h.ClientID == "" || h.Subject == "" {
		return Hint{}, ErrType
	}
	return h, nil
}
