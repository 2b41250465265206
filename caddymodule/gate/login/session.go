package login

import (
	"crypto/cipher"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
)

// Session is a person's sign-in as the cookie has it.
type Session struct {
	Client  string // the Key of the Login that made it
	Access  string
	refresh string
	flow    string // the state it was made by
	made    int64
	expires int64 // of the access token
	began   int64 // when the person signed in
}

// SignIn names the sign-in that the session is of.
func (s *Session) SignIn() string { return s.flow }

// String keeps the tokens out of logs.
func (Session) String() string { return "session of a person" }

// GoString keeps them out of %#v.
func (s Session) GoString() string { return s.String() }

// Session opens the cookie for this request's host. false: there is none, or
// nothing that was sealed here for it, which is the same.
func (k *Keys) Session(r *http.Request, b *Brought) (s Session, ok bool) {
	parts, n := b.sealed()
	if n == 0 {
		return s, false
	}
	err := open(k.session, Host(r), func(plain []byte) error {
		if len(plain) < 24 {
			return errPacked
		}
		s.made, s.expires, s.began = instant(plain), instant(plain[8:]), instant(plain[16:])
		return unpack(plain[24:], &s.Client, &s.Access, &s.refresh, &s.flow)
	}, parts[:n]...)
	return s, err == nil
}

func (s *Session) seal(aead cipher.AEAD, host string) string {
	plain := binary.BigEndian.AppendUint64(make([]byte, 0, 64+len(s.Access)+len(s.refresh)), uint64(s.made))
	plain = binary.BigEndian.AppendUint64(plain, uint64(s.expires))
	plain = binary.BigEndian.AppendUint64(plain, uint64(s.began))
	return seal(aead, host, pack(plain, s.Client, s.Access, s.refresh, s.flow))
}

func instant(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

// early is how long before its end an access token is renewed, so that it does
// not end on the way to the backend.
const early = 20 * time.Second

// Due reports whether the access token is at its end. Of one with a short life
// the last quarter is.
func (s *Session) Due(now time.Time) bool {
	left := min(int64(early/time.Second), (s.expires-s.made)/4)
	return now.Unix() >= s.expires-left
}

// elsewhere is how long after the sign-in a session of an issuer elsewhere is renewed. The
// embedded issuer's refresh tokens have an end that renewing does not put off; others'
// may live for ever, and some issuers cannot be told of a sign-out.
const elsewhere = 24 * time.Hour

// old reports whether the person has to come by the issuer once more.
func (s *Session) old(now time.Time) bool {
	return now.Unix()-s.began >= int64(elsewhere/time.Second)
}

// Lapsed is a session whose access token is over before its time.
func (s Session) Lapsed() Session {
	s.expires = 0
	return s
}

// over reports whether the access token cannot be used any more.
func (s *Session) over(now time.Time) bool { return now.Unix() >= s.expires }

// Host is what a cookie is for: a browser keeps one for all ports of a host.
func Host(r *http.Request) string { return strings.TrimSuffix(askedHost(r), ".") }

// askedHost is the host as it is asked for: with a dot at its end, it is on another site.
func askedHost(r *http.Request) string {
	host := r.Host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		host = host[:i]
	}
	for i := range len(host) {
		if c := host[i]; 'A' <= c && c <= 'Z' {
			host = strings.ToLower(host)
			break
		}
	}
	return host
}
