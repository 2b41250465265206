package portal

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// change is a new password in place of the present one.
type change struct {
	who     store.Account
	m       method
	name    string // by which a password manager knows the account
	expired bool   // at the sign-in, because the present one is too old
}

// passwordOf is the password source of an account with the name to prove it by:
// the session's source, or the first that takes a name it has.
func (v *visit) passwordOf(who store.Account) (method, string, bool) {
	names := map[store.IdentifierKind]string{store.ByUsername: who.Username, store.ByEmail: who.Email, store.ByPhone: who.Phone}
	for _, source := range append([]string{v.session.Source}, v.p.sourcesOf(nil)...) {
		m, ok := v.p.method(source)
		if !ok || m.password == nil {
			continue
		}
		if i := slices.IndexFunc(m.kinds(), func(k store.IdentifierKind) bool { return names[k] != "" }); i >= 0 && who.PasswordHash != "" {
			return m, names[m.kinds()[i]], true
		}
	}
	return method{}, "", false
}

const defaultMinLength = 8 // package account's

func minLength(m method) int {
	if m.password.MinLength > 0 {
		return m.password.MinLength
	}
	return defaultMinLength
}

// newPassword is the field for a password that is to be set.
func (v *visit) newPassword(m method) field {
	return field{
		Name: "new_password", Label: v.words.T("password.new"), Type: "password", Autocomplete: "new-password",
		Hint: v.words.T("password.new.hint", minLength(m)),
	}
}

// unfit says why a new password is refused; nil where that is not the matter.
func (v *visit) unfit(m method, e *oauth.Error) *problem {
	switch e.Reason {
	case oauth.UnfitPassword:
		return &problem{"new_password", v.words.T("password.bad", minLength(m))}
	case oauth.SamePassword:
		return &problem{"new_password", v.words.T("password.same")}
	case oauth.FormerPassword:
		return &problem{"new_password", v.words.T("password.former")}
	}
	return nil
}

func (v *visit) passwordPage() error {
	who, ok, err := v.member()
	if !ok {
		return err
	}
	m, name, ok := v.passwordOf(who)
	if !ok {
		return v.show(http.StatusOK, "nopassword", view{Menu: true, Title: v.words.T("title.password")})
	}
	return v.showChange(http.StatusOK, change{who: who, m: m, name: name}, nil)
}

func (v *visit) showChange(status int, c change, wrong *problem) error {
	fields := []field{
		{Name: "old_password", Label: v.words.T("password.old"), Type: "password", Autocomplete: "current-password"},
		v.newPassword(c.m),
	}
	if wrong != nil || c.expired {
		mark(fields, wrong, "")
	}
	lead := "password.lead"
	if c.expired {
		lead = "password.expired"
	}
	return v.show(status, "password", view{Menu: !c.expired, Done: v.told("password"), Problem: wrong, Data: struct {
		Action, Lead, Username string
		Fields                 []field
	}{v.r.URL.Path, v.words.T(lead), c.name, fields}})
}

// password changes the password of who is signed in and knows the present one.
func (v *visit) password() error {
	who, ok, err := v.member()
	if !ok {
		return err
	}
	if v.repeated {
		return v.done()
	}
	m, name, ok := v.passwordOf(who)
	if !ok {
		return oauth.Fail(oauth.InvalidRequest, NoSource)
	}
	if changed, err := v.change(change{who: who, m: m, name: name}); err != nil || !changed {
		return err
	}
	return v.done()
}

// justChanged reports whether this browser has set the password a moment ago: the
// button was pressed twice, and the first press has begun another session.
func (v *visit) justChanged(who store.Account) bool {
	lately := func(at time.Time) bool { return v.now.Sub(at) < repeatFor }
	return lately(who.PasswordSet) && lately(v.session.AuthTime) && !v.session.AuthTime.Before(who.PasswordSet)
}

// expiredPage asks who has just signed in with an expired password for another.
func (v *visit) expiredPage() error {
	c, err := v.expired()
	if err != nil {
		return err
	}
	return v.showChange(http.StatusOK, c, nil)
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

// change sets a new password for who knows the present one. Everybody who is
// signed in as this account is not any more, and this browser is, anew. false:
// the answer is given.
func (v *visit) change(c change) (bool, error) {
	before, after := v.form.Get("old_password"), v.form.Get("new_password")
	if before == "" {
		return false, v.showChange(http.StatusBadRequest, c, &problem{"old_password", v.words.T("login.empty.password")})
	}
	ctx := v.r.Context()
	writes, err := v.p.o.Accounts.ChangePassword(ctx, v.now, *c.m.password, c.who.ID, before, after, v.from())
	if err != nil {
		return false, v.changeRefused(c, err)
	}
	who := proved{c.who, c.m.id, []string{"pwd"}, append(writes, v.p.telling(v.now, c.who.ID)...)}
	if v.signedIn && v.session.Account != c.who.ID { // an expired password, in a browser of somebody else
		return true, v.p.enterAfter(v, secret(), v.session, who)
	}
	err = v.p.enterAnew(v, secret(), who)
	if err == nil {
		v.p.ended()
	}
	return true, err
}

func (v *visit) changeRefused(c change, err error) error {
	e := oauth.AsError(err)
	wrong := v.unfit(c.m, e)
	switch {
	case wrong != nil:
	case e.Reason == oauth.WrongOld:
		wrong = &problem{"old_password", v.words.T("password.wrong")}
	case e.Reason == oauth.UserLocked:
		wrong = &problem{"old_password", v.words.T("login.locked")}
	case e.Reason == oauth.UserFrozen:
		wrong = &problem{"old_password", v.words.T("login.frozen")}
	default:
		return err
	}
	v.refused(http.StatusBadRequest, e)
	return v.showChange(http.StatusBadRequest, c, wrong)
}
