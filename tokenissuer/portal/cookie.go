package portal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// The names of the cookies. On https they carry the prefix that keeps
// subdomains and plain text from setting them.
const (
	sessionCookie = "gatehouse"
	browserCookie = "gatehouse-browser"
)

// secret is 256 random bits as a cookie carries them.
func secret() string {
	b := make([]byte, sha256.Size)
	rand.Read(b) // never fails: it ends the process
	return encoding.EncodeToString(b)
}

func hashOf(cookie string) store.Hash { return sha256.Sum256([]byte(cookie)) }

// browser is what ties p_state and forms to one browser: the value of a cookie
// that means nothing else.
type browser string

func (b browser) hash() store.Hash { return hashOf(string(b)) }

func (p *Portal) cookieName(name string) string {
	if p.secure {
		return "__Host-" + name
	}
	return name // http on loopback: the prefix wants Secure
}

// cookie reads one of our cookies. What cannot be ours counts as absent.
func (p *Portal) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(p.cookieName(name))
	if err != nil || len(c.Value) != encoding.EncodedLen(sha256.Size) {
		return ""
	}
	if _, err := encoding.DecodeString(c.Value); err != nil {
		return ""
	}
	return c.Value
}

// setCookie sets a cookie that the browser forgets when it ends; "" removes it.
// Lax and not Strict: people come from the pages of an app.
func (p *Portal) setCookie(w http.ResponseWriter, name, value string) {
	c := &http.Cookie{ //nolint:gosec // Secure is missing on an http loopback issuer alone
		Name: p.cookieName(name), Value: value, Path: "/", HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteLaxMode,
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// browserOf reads the browser's cookie, and gives one to a browser that has none.
func (p *Portal) browserOf(w http.ResponseWriter, r *http.Request) browser {
	if b := p.cookie(r, browserCookie); b != "" {
		return browser(b)
	}
	b := secret()
	p.setCookie(w, browserCookie, b)
	return browser(b)
}

const saltSize = 16

// formToken is what a form carries to show that this browser got it from us, in
// this session. A fresh salt makes each different, so that a compressed page
// tells nothing about the rest of it.
func (p *Portal) formToken(b browser, session string) string {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return encoding.EncodeToString(append(salt, p.formMAC(salt, b, session)...))
}

func (p *Portal) formMAC(salt []byte, b browser, session string) []byte {
	mac := hmac.New(sha256.New, p.formKey)
	mac.Write(salt)
	mac.Write([]byte(strings.Join([]string{string(b), session}, "\x00")))
	return mac.Sum(nil)
}

func (p *Portal) goodToken(raw string, b browser, session string) bool {
	token, err := encoding.DecodeString(raw)
	if err != nil || len(token) != saltSize+sha256.Size {
		return false
	}
	return subtle.ConstantTimeCompare(token[saltSize:], p.formMAC(token[:saltSize], b, session)) == 1
}

// sameOrigin says whether a POST comes from our own pages, as far as the browser
// tells. Our pages have no Referrer, so a browser without Sec-Fetch-Site calls
// its origin null (Fetch §3.2): then the form's token alone decides.
func (p *Portal) sameOrigin(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "null" {
		return true
	}
	return p.cross.Check(r) == nil
}
