package portal

import (
	"errors"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// expiredPage asks who has just signed in with an expired password for another.
func (v *visit) expiredPage() error {
	c, err := v.expired()
	if err != nil {
		return err
	}
	return v.showChange(http.StatusOK, c, v.wrong)
}

// expired opens the request, in which the name must be that was signed in with.
// It proves nothing: the change asks for the password again.
func (v *visit) expired() (change, error) {
	if err := v.resume(); err != nil {
		return change{}, err
	}
	ms, _, err := v.methods()
	if err != nil {
		return change{}, err
	}
	m, ok := called(ms, v.pending.Expired.Source)
	if !ok || m.password == nil || v.pending.Expired.Name == "" {
		return change{}, oauth.Fail(oauth.InvalidRequest, ForeignState)
	}
	who, err := v.p.o.Accounts.Find(v.r.Context(), v.pending.Expired.Name)
	if errors.Is(err, store.ErrNotFound) { // renamed or removed meanwhile
		err = oauth.Wrap(oauth.InvalidRequest, ForeignState, err)
	}
	return change{who: who, m: m, name: v.pending.Expired.Name, expired: true}, err
}

func (v *visit) replaceExpired() error {
	c, err := v.expired()
	if err != nil {
		return err
	}
	if changed, err := v.change(c); err != nil || !changed {
		return err
	}
	return v.see(v.href("/portal/continue"))
}
