package login

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"strconv"
	"time"
)

const (
	// stateFor is how long a person may take at the issuer.
	stateFor = 10 * time.Minute

	// mostTries is how often a sign-in begins anew by itself, or ends well within
	// loopWindow, before a person is asked.
	mostTries  = 3
	loopWindow = time.Minute
)

// state is what goes to the issuer and comes back. It is sealed, and no good
// without the cookie of the browser that it was made for.
type state struct {
	id       string // 128 random bits, the nonce, too
	verifier string // RFC 7636
	browser  string // what the cookie says
	to       string // a place on this site
	client   string // the Key of the Login
	gate     int    // that sent the person, counted within the configuration
	try      int
	expires  int64
}

func (s *state) seal(k *Keys, host string) string {
	n := func(v int64) string { return strconv.FormatInt(v, 36) }
	return seal(k.state, host, pack(nil, s.id, s.verifier, s.browser, s.to, s.client, n(int64(s.gate)), n(int64(s.try)), n(s.expires)))
}

func (k *Keys) openState(r *http.Request, sealed string) (s state, err error) {
	var gate, try, expires string
	err = open(k.state, Host(r), func(plain []byte) error {
		return unpack(plain, &s.id, &s.verifier, &s.browser, &s.to, &s.client, &gate, &try, &expires)
	}, sealed)
	if err != nil {
		return s, err
	}
	s.gate, s.try, s.expires = int(number(gate)), int(number(try)), number(expires)
	return s, nil
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 36, 64) // seal wrote it
	return n
}

func random(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails: it ends the process
	return encoding.EncodeToString(b)
}

// challenge is code_challenge by S256 (RFC 7636 §4.2).
func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return encoding.EncodeToString(sum[:])
}
