package portal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/gob"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

const (
	// pendingFor is how long a person may take, from the request of the app on.
	pendingFor = 10 * time.Minute

	// maxState keeps the address of a page, with the cookies, under the 16 KiB of
	// headers that Caddy reads.
	maxState = 12 << 10
)

// pending is what p_state carries from page to page. Nothing of it is stored:
// ten thousand requests that nobody finishes cost no memory.
type pending struct {
	Request Request
	Expires time.Time
	Denied  bool
	Code    sentCode
	Expired oldPassword

	// Of the account page, which has no Client: where a sign-in leads back to, and
	// whose address the code is about.
	Back    string
	Account string
}

// sentCode is a one-time code that is on its way.
type sentCode struct {
	Source, To, Token string
	Usage             string               // "" for a sign-in
	Kind              store.IdentifierKind // of To
	Until             time.Time            // how long it is good
	Right             string               // the code itself, of a sign-in, once it proved an address that nobody has
	Taken             bool                 // it proved an address that has an account, where one was to be opened
}

// oldPassword is a sign-in with a password that was right and has expired.
type oldPassword struct{ Source, Name string }

// String keeps the token of a code out of logs.
func (s sentCode) String() string { return "code by " + s.Source }

// GoString is String, for %#v.
func (s sentCode) GoString() string { return s.String() }

var encoding = base64.RawURLEncoding.Strict()

func derive(key []byte, use string) ([]byte, error) {
	return hkdf.Key(sha256.New, key, nil, "gatehouse portal "+use, 32)
}

func newSealer(key []byte) (cipher.AEAD, error) {
	k, err := derive(key, "p_state")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal makes the p_state of one browser: to any other it is noise. gob and not
// JSON, because `state` comes back byte-equal and JSON would blow it up sixfold.
func (p *Portal) seal(of browser, x pending) (string, error) {
	var plain bytes.Buffer
	if err := gob.NewEncoder(&plain).Encode(x); err != nil {
		return "", fmt.Errorf("encoding p_state: %w", err)
	}
	hash := of.hash()
	sealed := encoding.EncodeToString(p.sealer.Seal(nil, nil, plain.Bytes(), hash[:]))
	if len(sealed) > maxState {
		return "", oauth.Fail(oauth.InvalidRequest, RequestTooLong)
	}
	return sealed, nil
}

// open reads a p_state.
func (p *Portal) open(of browser, now time.Time, raw string) (pending, error) {
	var x pending
	if raw == "" {
		return x, oauth.FailParam(oauth.InvalidRequest, oauth.MissingParameter, "p_state")
	}
	sealed, err := encoding.DecodeString(raw)
	if err != nil {
		return x, oauth.Wrap(oauth.InvalidRequest, ForeignState, err)
	}
	hash := of.hash()
	plain, err := p.sealer.Open(nil, nil, sealed, hash[:])
	if err != nil {
		return x, oauth.Wrap(oauth.InvalidRequest, ForeignState, err)
	}
	if err := gob.NewDecoder(bytes.NewReader(plain)).Decode(&x); err != nil { //nolint:gosec // what was sealed here
		return x, oauth.Wrap(oauth.InvalidRequest, ForeignState, err)
	}
	if !now.Before(x.Expires) {
		return x, oauth.Fail(oauth.InvalidRequest, ExpiredState)
	}
	return x, nil
}
