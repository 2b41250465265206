package portal

import (
	"errors"
	"net/http"
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

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

func (v *visit) passwordPage() error {
	who, ok, err := v.member()
	if !ok {
		return err
	}
	return v.showPassword(http.StatusOK, who, nil)
}

func (v *visit) showPassword(status int, who store.Account, wrong *problem) error {
	m, name, ok := v.passwordOf(who)
	if !ok {
		return v.show(status, "nopassword", view{Menu: true, Title: v.words.T("title.password")})
	}
	fields := []field{
		{Name: "old_password", Label: v.words.T("password.old"), Type: "password", Autocomplete: "current-password"},
		{
			Name: "new_password", Label: v.words.T("password.new"), Type: "password", Autocomplete: "new-password",
			Hint: v.words.T("password.new.hint", minLength(m)),
		},
	}
	if wrong != nil {
		mark(fields, wrong, "")
	}
	return v.show(status, "password", view{Menu: true, Done: v.told("password"), Problem: wrong, Data: struct {
		Username string
		Fields   []field
	}{name, fields}})
}

// password changes the password of who knows the present one. Everybody who is
// signed in as this account is not any more, but for this browser.
func (v *visit) password() error {
	who, ok, err := v.member()
	if !ok {
		return err
	}
	m, name, ok := v.passwordOf(who)
	if !ok {
		return oauth.Fail(oauth.InvalidRequest, NoSource)
	}
	before, after := v.form.Get("old_password"), v.form.Get("new_password")
	if before == "" {
		return v.showPassword(http.StatusBadRequest, who, &problem{"old_password", v.words.T("login.empty.password")})
	}
	bad := &problem{"new_password", v.words.T("password.bad", minLength(m))}
	switch err := account.CheckPassword(*m.password, who, after); {
	case err != nil:
		return v.showPassword(http.StatusBadRequest, who, bad)
	case before == after:
		return v.showPassword(http.StatusBadRequest, who, &problem{"new_password", v.words.T("password.same")})
	}
	ctx := v.r.Context()
	_, writes, err := v.p.o.Accounts.Password(ctx, v.now, *m.password, name, before, v.from())
	if err != nil {
		return v.passwordRefused(who, err)
	}
	change, err := v.p.o.Accounts.SetPassword(ctx, v.now, who.ID, *m.password, who, after)
	if _, unfit := errors.AsType[*account.InputError](err); unfit {
		return v.showPassword(http.StatusBadRequest, who, bad)
	}
	if err != nil {
		return err
	}
	if err := v.p.endAll(ctx, v.now, who.ID); err != nil {
		return err
	}
	// The change ends all sessions, this one too; the person begins a new one.
	if err := v.p.enterAnew(v, proved{who, m.id, []string{"pwd"}, append(writes, change...)}); err != nil {
		return err
	}
	return v.done()
}

func (v *visit) passwordRefused(who store.Account, err error) error {
	e := oauth.AsError(err)
	wrong := &problem{Field: "old_password"}
	switch e.Reason {
	case oauth.WrongCredentials:
		wrong.Text = v.words.T("password.wrong")
	case oauth.AccountLocked:
		wrong.Text = v.words.T("login.locked")
	default:
		return err
	}
	v.refused(http.StatusBadRequest, e)
	return v.showPassword(http.StatusBadRequest, who, wrong)
}
