package portal

import (
	"cmp"
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
	at      time.Time // of the proof, zero for now
}

// enter makes the browser a signed-in one: with a new cookie always, so that one
// planted before is worth nothing after (session fixation).
//
// One form begins one session: posted again while it is being answered it gets
// the same cookie, for nobody knows which of the answers the browser keeps.
func (p *Portal) enter(v *visit, who proved) error {
	cookie, once := v.formCookie()
	first := who
	first.writes = append([]store.Write{once}, who.writes...)
	err := p.seat(v, cookie, first)
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	switch again, lookErr := v.answered(); {
	case lookErr != nil:
		return errors.Join(err, lookErr)
	case again:
		return nil
	}
	if used, lookErr := p.o.Store.Quota(v.r.Context(), v.now, once.Key); lookErr != nil || used.Taken == 0 {
		return errors.Join(err, lookErr) // lost against something else
	}
	// That session is over. Its cookie must not open another one.
	return p.seat(v, secret(), who)
}

// seat gives the browser a session with this cookie.
func (p *Portal) seat(v *visit, cookie string, who proved) error {
	before, signedIn, err := p.Session(v.r.Context(), v.r, v.now)
	switch {
	case err != nil:
		return err
	case !signedIn:
		return p.enterAnew(v, cookie, who)
	case before.Account != who.account.ID:
		return p.enterAfter(v, cookie, before, who)
	}
	return p.carry(v, cookie, append(who.writes, store.ProveSession{
		Old: before.Hash, New: hashOf(cookie), Account: who.account.ID, Source: who.source, AMR: who.amr,
		AuthTime: v.now, Expires: v.now.Add(p.o.SessionLifetime),
	}))
}

// enterAfter is enterAnew where somebody else sits down: the one before leaves.
func (p *Portal) enterAfter(v *visit, cookie string, before store.Session, who proved) error {
	ending, err := p.ending(v.r.Context(), v.now, before)
	if err != nil {
		return err
	}
	who.writes = append(who.writes, ending...)
	if err := p.enterAnew(v, cookie, who); err != nil {
		return err
	}
	p.ended()
	return nil
}

// enterAnew begins a session, after who.writes.
func (p *Portal) enterAnew(v *visit, cookie string, who proved) error {
	at := cmp.Or(who.at, v.now)
	return p.carry(v, cookie, append(who.writes, store.PutSession{Session: store.Session{
		Hash: hashOf(cookie), ID: uuid.NewString(), Device: device(v.r.UserAgent()), Account: who.account.ID, Source: who.source,
		AMR: who.amr, AuthTime: at, Created: v.now, Seen: v.now, Expires: at.Add(p.o.SessionLifetime),
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
