package portal

import (
	"errors"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// repeatFor is how long a request that is used up answers the same once more:
// while the answer is on its way a person can still press the link.
const repeatFor = 10 * time.Second

// once uses the request up. It is remembered for as long as any p_state of it
// could live, and from the first answer on only: to be remembered it takes a
// person who signed in.
func (v *visit) once() store.TakeQuota {
	return store.TakeQuota{Key: v.p.o.Accounts.QuotaKey("p_state", v.pending.Request.ID), Most: 1, Window: pendingFor}
}

// usedAt is when the request was used up; zero: it is not.
func (v *visit) usedAt() (time.Time, error) {
	if v.pending.Request.ID == "" { // a sign-in at the portal itself ends at no app
		return time.Time{}, nil
	}
	q, err := v.p.o.Store.Quota(v.r.Context(), v.now, v.once().Key)
	if err != nil || q.Taken == 0 {
		return time.Time{}, err
	}
	return q.Ends.Add(-pendingFor), nil
}

// resumeLate is resume with the moment in which the answer is repeated.
func (v *visit) resumeLate() error {
	if err := v.reopen(); err != nil {
		return err
	}
	at, err := v.usedAt()
	if err == nil && !at.IsZero() && v.now.Sub(at) >= repeatFor {
		err = oauth.Fail(oauth.InvalidRequest, UsedState)
	}
	return err
}

// give sends the person back to the app with a code.
func (v *visit) give() error {
	err := v.p.o.Finish(v.w, v.r, v.now, v.pending.Request, v.session, append(v.relies, v.once())...)
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	at, err := v.usedAt()
	switch {
	case err != nil:
		return err
	case !at.IsZero():
		return oauth.Fail(oauth.InvalidRequest, UsedState)
	}
	// What step saw is over, the session perhaps: it is judged as it is now.
	return v.see(v.href("/portal/continue"))
}

// deny sends the person back to the app with an error, which is harmless twice.
func (v *visit) deny(code string) error {
	err := v.p.o.Store.Apply(v.r.Context(), v.now, v.once())
	if err != nil && !errors.Is(err, store.ErrConflict) {
		return err
	}
	return v.p.o.Deny(v.w, v.r, v.now, v.pending.Request, code)
}
