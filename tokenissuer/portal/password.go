package portal

import (
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// change is a new password in place of the present one, if there is one.
type change struct {
	who     store.Account
	m       method
	name    string // by which a password manager knows the account
	expired bool   // at the sign-in, because the present one is too old
	first   bool   // there is no present one: the account was opened with a code
}

// passwordOf is the password source of an account with the name to prove it by:
// the session's source, or the first that takes a name it has.
func (v *visit) passwordOf(who store.Account) (method, string, bool) {
	for _, source := range append([]string{v.session.Source}, v.p.sourcesOf(nil)...) {
		m, ok := v.p.method(source)
		if !ok || m.password == nil {
			continue
		}
		if name := m.nameOf(who); name != "" {
			return m, name, true
		}
	}
	return method{}, "", false
}

func minLength(m method) int {
	if m.password.MinLength > 0 {
		return m.password.MinLength
	}
	return account.DefaultMinLength
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

// changing is what the page is about. A first password wants a sign-in of lately,
// as a new address does: there is no present one to ask for. false: the answer is
// given.
func (v *visit) changing() (change, bool, error) {
	who, ok, err := v.member()
	if !ok {
		return change{}, false, err
	}
	m, name, ok := v.passwordOf(who)
	if !ok {
		return change{}, false, v.show(http.StatusOK, "nopassword", view{Menu: true, Title: v.words.T("title.password")})
	}
	c := change{who: who, m: m, name: name, first: who.PasswordHash == ""}
	if c.first && !v.fresh() {
		return c, false, v.signInAgain(passwordPath)
	}
	return c, true, nil
}

func (v *visit) passwordPage() error {
	c, ok, err := v.changing()
	if !ok {
		return err
	}
	return v.showChange(http.StatusOK, c, v.wrong)
}

func (v *visit) showChange(status int, c change, wrong *problem) error {
	fields := []field{
		{Name: "old_password", Label: v.words.T("password.old"), Type: "password", Autocomplete: "current-password"},
		v.newPassword(c.m),
	}
	title, lead, button := "title.password", "password.lead", "password.button"
	switch {
	case c.expired:
		lead = "password.expired"
	case c.first:
		fields = fields[1:]
		title, lead, button = "password.set", "password.first", "password.set"
	}
	if wrong != nil || c.expired {
		mark(fields, wrong, "")
	}
	page := view{Menu: !c.expired, Title: v.words.T(title), Done: v.told("password"), Problem: wrong}
	text := v.words.T(lead)
	if page.Done != "" { // which says so
		text = ""
	}
	page.Data = struct {
		Action, Lead, Username, Button string
		Fields                         []field
	}{v.r.URL.Path, text, c.name, v.words.T(button), fields}
	return v.show(status, "password", page)
}

// password changes the password of who is signed in and knows the present one, or
// gives the account its first.
func (v *visit) password() error {
	if v.repeated {
		return v.done()
	}
	if !v.signedIn { // the form has ended that session, perhaps, and the next one's cookie got lost
		if again, err := v.answered(); again || err != nil {
			return v.orElse(err, passwordPath, "done", "1")
		}
	}
	c, ok, err := v.changing()
	if !ok {
		return err
	}
	if changed, err := v.change(c); err != nil || !changed {
		return err
	}
	return v.done()
}

// change sets a new password for who knows the present one. Everybody who is
// signed in as this account is not any more, and this browser is, anew. false:
// the answer is given.
func (v *visit) change(c change) (bool, error) {
	before := v.form.Get("old_password")
	if before == "" && !c.first {
		return false, v.showChange(http.StatusBadRequest, c, &problem{"old_password", v.words.T("login.empty.password")})
	}
	err := v.changeOnce(c, before)
	if err == nil {
		return true, nil
	}
	if again, lookErr := v.answered(); again || lookErr != nil {
		return again, lookErr // pressed twice: the present password is the new one by now
	}
	return false, v.changeRefused(c, err)
}

func (v *visit) changeOnce(c change, before string) error {
	who, err := v.changed(c, before, v.form.Get("new_password"))
	if err != nil {
		return err
	}
	cookie, once := v.formCookie()
	who.writes = append(append(who.writes, v.p.telling(v.now, c.who.ID)...), once)
	if v.signedIn && v.session.Account != c.who.ID { // an expired password, in a browser of somebody else
		err = v.p.enterAfter(v, cookie, v.session, who)
	} else {
		err = v.p.enterAnew(v, cookie, who)
	}
	if err == nil {
		v.renewed(c.who)
	}
	return err
}

// renewed tells who wants to know of a password that was set, in place of the one
// that the account had.
func (v *visit) renewed(was store.Account) {
	v.p.ended()
	if v.p.o.Renewed != nil {
		v.p.o.Renewed(v.now, was, was.PasswordHash == "", v.words.T("language"))
	}
}

// changed is how the person is signed in with the new password: by the present
// one, or as before where there is none.
func (v *visit) changed(c change, before, after string) (proved, error) {
	ctx := v.r.Context()
	if !c.first {
		writes, err := v.p.o.Accounts.ChangePassword(ctx, v.now, *c.m.password, c.who.ID, before, after, v.from())
		return proved{account: c.who, source: c.m.id, amr: []string{"pwd"}, writes: writes}, err
	}
	writes, err := v.p.o.Accounts.ResetPassword(ctx, v.now, *c.m.password, c.who, after)
	return proved{c.who, v.session.Source, v.session.AMR, writes, v.session.AuthTime}, err
}

func (v *visit) changeRefused(c change, err error) error {
	e := oauth.AsError(err)
	at := "old_password"
	if c.first {
		at = "new_password"
	}
	wrong := v.unfit(c.m, e)
	switch {
	case wrong != nil:
	case e.Reason == oauth.WrongOld:
		wrong = &problem{"old_password", v.words.T("password.wrong")}
	case e.Reason == oauth.UserLocked:
		wrong = &problem{at, v.words.T("login.locked")}
	case e.Reason == oauth.UserFrozen:
		wrong = &problem{at, v.words.T("login.frozen")}
	default:
		return err
	}
	v.refused(http.StatusBadRequest, e)
	return v.showChange(http.StatusBadRequest, c, wrong)
}
