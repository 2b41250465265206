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
	ending, err := p.ending(v.r.Context(), v.now, before)
	if err != nil {
		return err
	}
	who.writes = append(who.writes, ending...)
	if err := p.enterAnew(v, who); err != nil {
		return err
	}
	p.ended()
	return nil
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

// mostEnds is how often the end of a session is tried again, each time because it
// has got something new to end.
const mostEnds = 5

// end ends a session, with more. One that has ended meanwhile is what was asked
// for, and its clients are told by whoever was first.
func (p *Portal) end(ctx context.Context, now time.Time, s store.Session, more ...store.Write) error {
	for try := 0; ; try++ {
		ending, err := p.ending(ctx, now, s)
		if err != nil {
			return err
		}
		err = p.o.Store.Apply(ctx, now, append(ending, more...)...)
		switch {
		case err == nil:
			p.ended()
			return nil
		case !errors.Is(err, store.ErrConflict), try == mostEnds:
			return err
		}
		if _, err := p.o.Store.SessionByID(ctx, s.ID); errors.Is(err, store.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// ending is the writes that end a session, and what ends with it. The session
// goes first and in the same Apply: a code that is asked for meanwhile finds no
// session, or is there to be ended. Conflict: somebody else has ended it.
func (p *Portal) ending(ctx context.Context, now time.Time, s store.Session) ([]store.Write, error) {
	with, err := p.o.End(ctx, now, s)
	return append([]store.Write{store.EndSessionByID{ID: s.ID, Account: s.Account}}, with...), err
}

// endingAll is what ends with every session of an account; who ends them adds it.
func (p *Portal) endingAll(ctx context.Context, now time.Time, account string) (writes []store.Write, err error) {
	sessions, err := p.o.Store.SessionsOf(ctx, now, account)
	if err != nil {
		return nil, err
	}
	for _, s := range sessions {
		with, err := p.o.End(ctx, now, s)
		if err != nil {
			return nil, err
		}
		writes = append(writes, with...)
	}
	return writes, nil
}

func (p *Portal) ended() {
	if p.o.Ended != nil {
		p.o.Ended()
	}
}
