package portal

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// logoutPage asks whether to sign out: a link from elsewhere must not do it.
func (v *visit) logoutPage() error {
	if !v.signedIn {
		return v.show(http.StatusOK, "bye", view{})
	}
	who, err := v.p.o.Store.Account(v.r.Context(), v.session.Account)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "logout", view{Data: nameOf(who)})
}

func (v *visit) logout() error {
	if _, _, err := v.p.SignOut(v.w, v.r, v.now); err != nil {
		return err
	}
	return v.see(v.href("/portal/logout"))
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
		ending, err := p.ending(ctx, now, s, more...)
		if err != nil {
			return err
		}
		err = p.o.Store.Apply(ctx, now, ending...)
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
// session, or is there to be ended. Conflict: somebody else has ended it, or a client that End
// did not see got a sign-in in it. What is to end besides comes before End's: clients
// that are told leave the session in there.
func (p *Portal) ending(ctx context.Context, now time.Time, s store.Session, more ...store.Write) ([]store.Write, error) {
	clients, err := p.o.Store.ClientsOfSession(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	with, err := p.o.End(ctx, now, s)
	return slices.Concat([]store.Write{
		store.RequireClients{Session: s.ID, Count: len(clients)},
		store.EndSessionByID{ID: s.ID, Account: s.Account},
	}, more, with), err
}

// telling is what follows the writes that end all of an account, or all that one
// client has of it.
func (p *Portal) telling(now time.Time, account string) []store.Write {
	if p.o.Tell == nil {
		return nil
	}
	return []store.Write{p.o.Tell(now, account)}
}

func (p *Portal) ended() {
	if p.o.Ended != nil {
		p.o.Ended()
	}
}
