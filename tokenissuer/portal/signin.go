package portal

import (
	"errors"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// loginPage shows the form of one way to sign in.
func (v *visit) loginPage() error {
	if err := v.resume(); err != nil {
		return err
	}
	if v.form.Get("switch") == "" && !v.mistaken() { // else somebody else wants to sign in
		if s, _, err := v.step(); err != nil || s != signIn {
			return v.orElse(err, "/portal/continue")
		}
	}
	name, err := v.hint()
	if err != nil {
		return err
	}
	if v.wrong != nil {
		name = v.typedName("username")
	}
	return v.showLogin(http.StatusOK, v.form.Get("source"), name, v.wrong)
}

// mistaken reports whether the page is about a form that was not taken, and nobody
// has signed in since.
func (v *visit) mistaken() bool {
	return v.wrong != nil && (!v.signedIn || v.session.AuthTime.Before(v.before.Expires.Add(-pendingFor)))
}

// mended reports whether the page is about a form that was not taken, and the next one
// was: it has signed somebody in, and there is nothing to do here.
func (v *visit) mended() (bool, error) {
	if v.wrong == nil || v.mistaken() {
		return false, nil
	}
	s, _, err := v.step()
	return err == nil && s != signIn, err
}

// hint is the name that the form begins with: what the app knows, or, where
// somebody signs in once more, what that account signs in with in this way.
func (v *visit) hint() (string, error) {
	if v.pending.Back == "" || !v.signedIn {
		return v.pending.Request.LoginHint, nil
	}
	ms, _, err := v.methods()
	if err != nil {
		return "", err
	}
	m, ok := called(ms, v.form.Get("source"))
	if !ok {
		return "", nil
	}
	who, err := v.p.o.Store.Account(v.r.Context(), v.session.Account)
	return m.nameOf(who), err
}

// orElse leads to another page where nothing failed.
func (v *visit) orElse(err error, path string, more ...string) error {
	if err != nil {
		return err
	}
	return v.see(v.href(path, more...))
}

// showLogin shows the form with what was typed as the name, and never with a
// password.
func (v *visit) showLogin(status int, source, name string, wrong *problem) error {
	ms, app, err := v.methods()
	if err != nil {
		return err
	}
	m, ok := called(ms, source)
	if !ok {
		return oauth.Fail(oauth.InvalidRequest, oauth.SourceNotAssociated)
	}
	if source != "" {
		v.method = m.id // the language links stay with the choice
	}
	var others []choice
	for _, o := range ms {
		if o.id != m.id {
			others = append(others, choice{Text: v.otherWay(o, ms), Href: v.href(loginPath, "source", o.id)})
		}
	}
	fields := []field{v.nameField(m, name)}
	button := v.words.T("login.button")
	if m.password != nil {
		fields = append(fields, field{Name: "password", Label: v.words.T("login.password"), Type: "password", Autocomplete: "current-password"})
	} else {
		fields[0].Hint, button = v.words.T("login.send.hint"), v.words.T("login.send")
	}
	if m.password != nil && len(v.p.addressable()) > 0 {
		others = append(others, choice{Text: v.words.T("login.forgot"), Href: v.href("/portal/reset")})
	}
	if len(v.p.newcomers(app, ms)) > 0 {
		others = append(others, choice{Text: v.words.T("signup.link"), Href: v.href("/portal/signup")})
	}
	mark(fields, wrong, name)
	return v.show(status, "login", view{Done: v.told("reset"), Problem: wrong, Data: struct {
		Lead, Source, Switch, Button string
		Fields                       []field
		Others                       []choice
	}{v.whereto(app), m.id, v.form.Get("switch"), button, fields, others}})
}

// whereto says what the sign-in is for.
func (v *visit) whereto(app *client.Client) string {
	switch {
	case v.pending.Back != "":
		return v.words.T("login.again")
	case app != nil:
		return v.words.T("login.app", appName(app))
	}
	return ""
}

// mark says at the field what is wrong with it, and puts the cursor where the
// person goes on.
func mark(fields []field, wrong *problem, name string) {
	for i := range fields {
		f := &fields[i]
		if wrong != nil && f.Name == wrong.Field {
			f.Problem, f.Focus = wrong.Text, true
			return
		}
	}
	if name != "" && len(fields) > 1 {
		fields[1].Focus = true
		return
	}
	fields[0].Focus = true
}

func (v *visit) otherWay(m method, all []method) string {
	if m.password == nil {
		return v.words.T("login.by." + string(m.by))
	}
	text := v.words.T("login.by.password")
	for _, o := range all {
		if o.password != nil && o.id != m.id {
			return text + " (" + m.id + ")" // two of them: the name tells them apart
		}
	}
	return text
}

// login takes the form of one way to sign in.
func (v *visit) login() error {
	if err := v.resume(); err != nil {
		return err
	}
	ms, _, err := v.methods()
	if err != nil {
		return err
	}
	m, ok := called(ms, v.form.Get("source"))
	if !ok {
		return oauth.Fail(oauth.InvalidRequest, oauth.SourceNotAssociated)
	}
	v.method = v.form.Get("source")
	name, password := v.typedName("username"), v.form.Get("password")
	switch {
	case name == "":
		return v.showLogin(http.StatusBadRequest, m.id, "", &problem{"username", v.words.T("login.empty.name", v.names(m))})
	case m.password == nil:
		return v.sendCode(m, name)
	case password == "":
		return v.showLogin(http.StatusBadRequest, m.id, name, &problem{"password", v.words.T("login.empty.password")})
	}
	err = v.retry(func() (proved, error) {
		account, writes, err := v.p.o.Accounts.Password(v.r.Context(), v.now, *m.password, name, password, v.from())
		return proved{account: account, source: m.id, amr: []string{"pwd"}, writes: writes}, err
	})
	if err != nil {
		return v.loginRefused(m, name, err)
	}
	v.method = ""
	return v.see(v.href("/portal/continue"))
}

// retry proves and enters. A conflict means that someone was first, with a new
// password perhaps: the proof is asked for once more.
func (v *visit) retry(prove func() (proved, error)) error {
	for try := 0; ; try++ {
		who, err := prove()
		if err != nil {
			return err
		}
		if err = v.p.enter(v, who); !errors.Is(err, store.ErrConflict) || try > 0 {
			return err
		}
	}
}

// loginRefused shows the form again. What a stranger can provoke is the same for
// every name: the rest is told only to who knows the password.
func (v *visit) loginRefused(m method, name string, err error) error {
	e := oauth.AsError(err)
	wrong := &problem{Field: "password"}
	switch e.Reason {
	case oauth.WrongCredentials:
		wrong.Text = v.words.T("login.wrong")
	case oauth.UnsupportedIdentifier:
		wrong = &problem{"username", v.words.T("login.kind", v.names(m))}
	case oauth.AccountLocked:
		wrong = &problem{"username", v.words.T("login.locked")}
	case oauth.AccountFrozen:
		wrong = &problem{"username", v.words.T("login.frozen")}
	case oauth.PasswordExpired:
		v.refused(http.StatusSeeOther, e)
		v.pending.Expired = oldPassword{m.id, name}
		return v.orElse(v.reseal(), "/portal/expired")
	default:
		return err
	}
	v.refused(http.StatusBadRequest, e)
	return v.showLogin(http.StatusBadRequest, m.id, name, wrong)
}
