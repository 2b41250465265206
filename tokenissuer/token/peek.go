package token

// Unverified is what a token says of itself. Nothing vouches for it: it is for an
// operator who asks why the token was refused, and for no decision.
type Unverified struct {
	KeyID, Algorithm, Type, Issuer string
}

// Peek reads it; what cannot be read stays empty.
func Peek(raw string) (u Unverified) {
	s, err := Parse(raw)
	if s == nil {
		return u
	}
	u = Unverified{KeyID: s.kid, Algorithm: s.alg, Type: s.typ}
	if err != nil {
		return u
	}
	u.Issuer = s.Claimed()
	return u
}
