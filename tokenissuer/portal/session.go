package portal

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Session is the session of the browser, if it is signed in.
func (p *Portal) Session(ctx context.Context, r *http.Request, now time.Time) (store.Session, bool, error) {
	cookie := p.cookie(r, sessionCookie)
	if cookie == "" {
		return store.Session{}, false, nil
	}
	s, err := p.o.Store.Session(ctx, hashOf(cookie))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Session{}, false, nil
	case err != nil:
		return store.Session{}, false, err
	case !now.Before(s.Expires):
		return store.Session{}, false, nil
	}
	if now.Sub(s.Seen) > store.SeenAfter {
		// What is lost with an error is a line on a page: no reason to refuse.
		_ = p.o.Store.Apply(ctx, now, store.TouchSession{Hash: s.Hash})
	}
	return s, true, nil
}

// proved is a person who has just signed in, with the writes that use the proof
// up.
type proved struct {
	account store.Account
	source  string
	amr     []string
	writes  []store.Write
}

// enter makes the browser a signed-in one: with a new cookie always, so that one
// planted before is worth nothing after (session fixation).
func (p *Portal) enter(v *visit, who proved) error {
	ctx := v.r.Context()
	before, signedIn, err := p.Session(ctx, v.r, v.now)
	switch {
	case err != nil:
		return err
	case !signedIn:
		return p.enterAnew(v, who)
	case before.Account != who.account.ID:
		return p.enterAfter(v, before, who)
	}
	cookie := secret()
	return p.carry(v, cookie, append(who.writes, store.ProveSession{
		Old: before.Hash, New: hashOf(cookie), Account: who.account.ID, Source: who.source, AMR: who.amr,
		AuthTime: v.now, Expires: v.now.Add(p.o.SessionLifetime),
	}))
}

// enterAfter is enterAnew where somebody else sits down: the one before leaves.
func (p *Portal) enterAfter(v *visit, before store.Session, who proved) error {
	if err := p.o.End(v.r.Context(), v.now, before); err != nil {
		return err
	}
	who.writes = append(who.writes, store.EndSession{Hash: before.Hash})
	return p.enterAnew(v, who)
}

// enterAnew begins a session, after who.writes.
func (p *Portal) enterAnew(v *visit, who proved) error {
	cookie := secret()
	return p.carry(v, cookie, append(who.writes, store.PutSession{Session: store.Session{
		Hash: hashOf(cookie), ID: uuid.NewString(), Device: device(v.r.UserAgent()), Account: who.account.ID, Source: who.source,
		AMR: who.amr, AuthTime: v.now, Created: v.now, Seen: v.now, Expires: v.now.Add(p.o.SessionLifetime),
	}}))
}

// carry stores a session and gives the browser its cookie.
func (p *Portal) carry(v *visit, cookie string, writes []store.Write) error {
	if err := p.o.Store.Apply(v.r.Context(), v.now, writes...); err != nil {
		return err
	}
	p.setCookie(v.w, sessionCookie, cookie)
	return nil
}

// SignOut ends the browser's session, with End, and clears its cookie. false:
// there was none.
func (p *Portal) SignOut(w http.ResponseWriter, r *http.Request, now time.Time) (store.Session, bool, error) {
	s, signedIn, err := p.Session(r.Context(), r, now)
	if err != nil {
		return store.Session{}, false, err
	}
	if signedIn {
		if err := p.end(r.Context(), now, s); err != nil {
			return store.Session{}, false, err
		}
	}
	if _, err := r.Cookie(p.cookieName(sessionCookie)); err == nil {
		p.setCookie(w, sessionCookie, "")
	}
	return s, signedIn, nil
}

// end ends a session. What its clients must be told is arranged first: once the
// session is gone nobody could ask for it again.
func (p *Portal) end(ctx context.Context, now time.Time, s store.Session) error {
	if err := p.o.End(ctx, now, s); err != nil {
		return err
	}
	return p.o.Store.Apply(ctx, now, store.EndSession{Hash: s.Hash})
}

// expel ends a session with every sign-in that began in it.
func (p *Portal) expel(ctx context.Context, now time.Time, s store.Session) error {
	if err := p.o.End(ctx, now, s); err != nil {
		return err
	}
	return p.o.Store.Apply(ctx, now, store.RevokeSession{ID: s.ID, All: true}, store.EndSession{Hash: s.Hash})
}

// endAll arranges for every session of an account what must be done before it
// ends. The sessions are still there.
func (p *Portal) endAll(ctx context.Context, now time.Time, account string) error {
	sessions, err := p.o.Store.SessionsOf(ctx, now, account)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if err := p.o.End(ctx, now, s); err != nil {
			return err
		}
	}
	return nil
}
