package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What is wrong with a token. An error of this package wraps one of these, and
// never holds a piece of the token.
var (
	ErrMalformed  = errors.New("malformed token")
	ErrTooLarge   = errors.New("token too large")
	ErrAlgorithm  = errors.New("wrong algorithm for the key")
	ErrUnknownKey = errors.New("unknown key")
	ErrSignature  = errors.New("wrong signature")
	ErrIssuer     = errors.New("wrong issuer")
	ErrAudience   = errors.New("wrong audience")
	ErrExpired    = errors.New("expired")
	ErrNotYet     = errors.New("not valid yet")
	ErrType       = errors.New("not an access token")
)

// MaxSize is the longest token that is looked at.
const MaxSize = 8 << 10

// The values of typ that an access token may have (RFC 7519 §5.1, RFC 9068 §2.1).
const (
	TypeJWT    = "JWT"
	TypeAccess = "at+jwt"
)

// Want is what a token must say. The zero Leeway is right for our own tokens.
type Want struct {
	Issuer    string        // exact
	Audiences []string      // any of these; nil leaves it unchecked
	Leeway    time.Duration // for clocks that differ
	Early     time.Duration // as much again for tokens that begin to count a moment ahead
	Foreign   bool          // not our own: typ may be absent, a kid too where there is one key
}

// Verify returns the claims of an access token that a key of ours signed and
// that says what is wanted. The order is fixed, so that nothing is read
// before what vouches for it: size, shape, header, the algorithm that belongs
// to the key, signature, payload, kind, iss, aud, exp, nbf, iat.
func Verify(raw string, keys Keys, want Want, now time.Time) (*Claims, error) {
	sealed, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	claims, _, err := sealed.Open(keys, want.Foreign)
	if err != nil {
		return nil, err
	}
	if err := claims.Check(want, now); err != nil {
		return nil, err
	}
	return claims, nil
}

// Sealed is a token whose header is read and whose payload is not: nothing has
// vouched for it yet.
type Sealed struct {
	kid, alg, typ      string
	input              []byte // what was signed
	payload, signature []byte
}

// Parse reads the shape and the header of a compact JWS.
func Parse(raw string) (*Sealed, error) {
	if len(raw) > MaxSize {
		return nil, ErrTooLarge
	}
	header, rest, _ := strings.Cut(raw, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || header == "" || payload == "" || signature == "" || strings.Contains(signature, ".") {
		return nil, fmt.Errorf("%w: not three parts", ErrMalformed)
	}
	if strings.IndexByte(raw, '\r') >= 0 || strings.IndexByte(raw, '\n') >= 0 {
		// encoding/base64 skips these, even when it is strict.
		return nil, fmt.Errorf("%w: not base64url", ErrMalformed)
	}
	// One array for what the parts decode to.
	room := make([]byte, 0, encoding.DecodedLen(len(raw)))
	decode := func(part string) (_ []byte, err error) {
		start := len(room)
		room, err = encoding.AppendDecode(room, asBytes(part))
		return room[start:len(room):len(room)], err
	}
	s := &Sealed{input: asBytes(raw[:len(header)+1+len(payload)])}
	head, err := decode(header)
	if err == nil {
		s.payload, err = decode(payload)
	}
	if err == nil {
		s.signature, err = decode(signature)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: not base64url", ErrMalformed)
	}
	return s, s.readHeader(head)
}

// refused are header members that a token of ours never has. Each asks the
// verifier to take its key, its rules or its input from the attacker
// (RFC 7515 §4.1.2-4.1.6, §4.1.11, RFC 7797 §3).
var refused = []string{"crit", "jwk", "jku", "x5u", "x5c", "b64"}

func (s *Sealed) readHeader(text []byte) error {
	header, err := parseMembers(text, usualFields)
	if err != nil {
		return fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	for _, name := range refused {
		if _, ok := header.all.get(name); ok {
			return fmt.Errorf("%w: %s in the header", ErrMalformed, name)
		}
	}
	if s.kid, err = optionalText(header.all, "kid"); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if s.typ, err = optionalText(header.all, "typ"); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if s.alg, err = optionalText(header.all, "alg"); err != nil {
		return fmt.Errorf("%w: %w", ErrAlgorithm, err)
	}
	if s.typ != "" && !strings.EqualFold(s.typ, TypeJWT) && !isAccessType(s.typ) {
		return ErrType
	}
	return nil
}

// isAccessType compares as RFC 7515 §4.1.9 says: a media type without its
// "application/", in any case.
func isAccessType(typ string) bool {
	return strings.EqualFold(typ, TypeAccess) || strings.EqualFold(typ, "application/"+TypeAccess)
}

// KeyID is the key that the token names.
func (s *Sealed) KeyID() string { return s.kid }

// Claimed is the issuer that the payload names, "" where none can be read. Nobody
// has vouched for it: it is good for deciding whom to ask for keys, and for
// nothing else.
func (s *Sealed) Claimed() string {
	payload, err := parseMembers(s.payload, usualClaims)
	if err != nil {
		return ""
	}
	value, _ := payload.all.get("iss")
	issuer, _ := value.(string)
	return issuer
}

// Open verifies the signature and reads the payload; foreign says by whose
// rules. Claims.Check is still to be asked.
func (s *Sealed) Open(keys Keys, foreign bool) (*Claims, Public, error) {
	if s.typ == "" && !foreign {
		return nil, Public{}, ErrType
	}
	key, err := s.signer(keys)
	if err != nil {
		return nil, key, err
	}
	claims, err := readClaims(s.payload, s.typ, foreign)
	return claims, key, err
}

// signer returns the key that made the signature.
func (s *Sealed) signer(keys Keys) (_ Public, err error) {
	key, ok := keys.Key(s.kid)
	if !ok {
		return Public{}, ErrUnknownKey
	}
	// RFC 8725 §3.1: the key says what it is for; the header can only agree.
	verifier, ok := verifiers[key.Algorithm]
	if !ok || s.alg != string(key.Algorithm) {
		return Public{}, ErrAlgorithm
	}
	if key.verify != nil {
		err = key.verify(s.input, s.signature)
	} else {
		err = verifier.Verify(s.input, s.signature, key.Key)
	}
	if err != nil {
		return Public{}, ErrSignature
	}
	return key, nil
}

// Foreign says that the claims were read by the rules for foreign issuers.
func (c *Claims) Foreign() bool { return c.foreign }

// Check says whether verified claims are what is wanted now. It is cheap
// enough to be asked again for every request that a token opens.
func (c *Claims) Check(want Want, now time.Time) error {
	switch {
	case c.Issuer == "" || c.Issuer != want.Issuer || c.foreign != want.Foreign:
		return ErrIssuer
	case want.Audiences != nil && !slices.ContainsFunc(c.Audience, func(aud string) bool { return slices.Contains(want.Audiences, aud) }):
		return ErrAudience
	// RFC 7519 §4.1.4: on or after exp it is not accepted.
	case now.Add(-want.Leeway).Unix() >= c.Expires:
		return ErrExpired
	case now.Add(want.Leeway+want.Early).Unix() < max(c.NotBefore, c.IssuedAt):
		return ErrNotYet
	}
	return nil
}
