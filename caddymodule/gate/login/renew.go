package login

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

const (
	// patience is how long an issuer may take to answer.
	patience = 10 * time.Second

	// remembered is how long what was earned is given to whoever comes late with the
	// same code or refresh token: the browser's other requests of the moment, and
	// those after an answer that got lost with its cookie.
	remembered = 30 * time.Second

	// mostRemembered bounds what people, not strangers, make us remember: a key is of
	// what was sealed here. Beyond it the oldest are forgotten.
	mostRemembered = 10_000
)

// Memory sees to it that one code or refresh token is shown to the issuer once.
// It outlives configurations.
type Memory struct {
	mu    sync.Mutex
	by    map[[sha256.Size]byte]*earning
	order []*earning
}

type earning struct {
	key    [sha256.Size]byte
	done   chan struct{}
	until  time.Time
	tokens Tokens
	err    error
}

// NewMemory makes an empty one.
func NewMemory() *Memory { return &Memory{by: map[[sha256.Size]byte]*earning{}} }

// once does the work, or waits for who does, or knows what came of it. A failure
// is told to those who wait and then forgotten.
func (m *Memory) once(secret string, work func() (Tokens, error)) (Tokens, error) {
	key := sha256.Sum256([]byte(secret))
	m.mu.Lock()
	m.sweep(time.Now())
	if e := m.by[key]; e != nil {
		m.mu.Unlock()
		<-e.done
		return e.tokens, e.err
	}
	e := &earning{key: key, done: make(chan struct{})}
	m.by[key] = e
	m.mu.Unlock()

	e.err = errEnded // for those who wait, should the work panic
	defer m.finish(e)
	e.tokens, e.err = work()
	return e.tokens, e.err
}

var errEnded = errors.New("who asked the issuer has gone")

func (m *Memory) finish(e *earning) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.err != nil {
		delete(m.by, e.key)
	} else {
		e.until = time.Now().Add(remembered)
		m.order = append(m.order, e)
	}
	close(e.done)
}

func (m *Memory) sweep(now time.Time) {
	n := max(0, len(m.order)-mostRemembered)
	for n < len(m.order) && now.After(m.order[n].until) {
		n++
	}
	for _, e := range m.order[:n] {
		delete(m.by, e.key)
	}
	m.order = m.order[n:]
}

// Renew earns a new access token for a session whose own is at its end, and sets
// the cookie. The session stays as it is, without an error, where there is nothing
// to renew it with.
func (l *Login) Renew(w http.ResponseWriter, r *http.Request, b *Brought, s Session, now time.Time) (Session, error) {
	if s.refresh == "" {
		return s, nil
	}
	t, err := l.Memory.once("refresh "+s.refresh+s.Access, func() (Tokens, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
		defer cancel()
		return l.Issuer.Earn(ctx, r.RemoteAddr, url.Values{"grant_type": {oauth.GrantRefreshToken}, "refresh_token": {s.refresh}})
	})
	if err != nil {
		if !s.over(now) {
			return s, nil // the next request tries again
		}
		return s, err
	}
	if t.Refresh == "" {
		t.Refresh = s.refresh // RFC 6749 §6: the old one goes on
	}
	next := l.session(t, s.flow, now)
	if !setSession(w, b, next.seal(l.Keys.session, Host(r))) {
		return s, ErrRefused
	}
	return next, nil
}

// Forget takes a session out of the browser.
func Forget(w http.ResponseWriter, b *Brought) { clearSession(w, b) }
