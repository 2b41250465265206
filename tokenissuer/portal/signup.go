package portal

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// newcomers are the kinds of address with which people open accounts through a
// client: those that can be proved, and that sign in afterwards.
func (p *Portal) newcomers(app *client.Client, ms []method) (kinds []store.IdentifierKind) {
	if app == nil || !app.SignUp {
		return nil
	}
	for _, kind := range p.addressable() {
		if slices.ContainsFunc(ms, func(m method) bool { return slices.Contains(m.kinds(), kind) }) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// welcomes reports whether who has an address of this kind can open an account
// here: a right code to one that nobody has leads there, and needs no second code.
func (v *visit) welcomes(kind store.IdentifierKind) bool {
	ms, app, err := v.methods()
	return err == nil && slices.Contains(v.p.newcomers(app, ms), kind)
}

// arriving opens the request of a client that lets people open accounts.
func (v *visit) arriving() ([]method, []store.IdentifierKind, error) {
	if err := v.resume(); err != nil {
		return nil, nil, err
	}
	ms, app, err := v.methods()
	if err != nil {
		return nil, nil, err
	}
	kinds := v.p.newcomers(app, ms)
	if len(kinds) == 0 {
		return nil, nil, oauth.Fail(oauth.InvalidRequest, oauth.SignUpNotEnabled)
	}
	return ms, kinds, nil
}

// signupPage asks for the address of the new account.
func (v *visit) signupPage() error {
	_, kinds, err := v.arriving()
	if err != nil {
		return err
	}
	to := "" // or what was typed at the sign-in, which had no account
	if slices.Contains(kinds, v.pending.Code.Kind) {
		to = v.pending.Code.To
	}
	return v.showSignup(http.StatusOK, kinds, cmp.Or(v.typedName("username"), to), v.wrong)
}

func (v *visit) showSignup(status int, kinds []store.IdentifierKind, to string, wrong *problem) error {
	fields := []field{v.addressField(kinds, to, v.words.T("signup.hint"))}
	mark(fields, wrong, "")
	return v.show(status, "signup", view{Problem: wrong, Data: struct {
		Lead, To, Action, Button, Back, BackText, Login string
		Fields                                          []field
	}{"", to, "/portal/signup", v.words.T("login.send"), v.href(loginPath), v.words.T("signup.back"), "", fields}})
}

// signup sends a code, to an address that has an account too: only its owner
// learns that it has one.
func (v *visit) signup() error {
	_, kinds, err := v.arriving()
	if err != nil {
		return err
	}
	to := v.typedName("username")
	kind := account.KindOf(to)
	if to == "" || !slices.Contains(kinds, kind) {
		return v.showSignup(http.StatusBadRequest, kinds, to, v.noAddress(to, kinds))
	}
	return v.sendTo(account.ForSignup, kind, to, "/portal/signup/account", func(wrong *problem) error {
		return v.showSignup(http.StatusBadRequest, kinds, to, wrong)
	})
}

// opening is arriving with a code on its way. The method is how the new account
// will sign in: by password where one takes this address, or by code.
func (v *visit) opening() (method, error) {
	ms, _, err := v.arriving()
	if err != nil {
		return method{}, err
	}
	if sent := v.pending.Code; sent.Usage != account.ForSignup && sent.Right == "" {
		return method{}, oauth.Fail(oauth.InvalidRequest, ForeignState)
	}
	takes := func(m method) bool { return slices.Contains(m.kinds(), v.pending.Code.Kind) }
	i := slices.IndexFunc(ms, func(m method) bool { return m.password != nil && takes(m) })
	if i < 0 {
		i = slices.IndexFunc(ms, takes)
	}
	if i < 0 {
		return method{}, oauth.Fail(oauth.InvalidRequest, NoSource)
	}
	return ms[i], nil
}

// openPage asks for the code, and for a password where one will be needed.
func (v *visit) openPage() error {
	m, err := v.opening()
	if err != nil {
		return err
	}
	if v.pending.Code.Taken {
		return v.showTaken(m)
	}
	if over, err := v.mended(); over || err != nil {
		return v.orElse(err, "/portal/continue")
	}
	return v.showOpen(http.StatusOK, m, v.wrong)
}

func (v *visit) showOpen(status int, m method, wrong *problem) error {
	fields := []field{v.codeField()}
	if m.password != nil {
		fields = append(fields, v.newPassword(m))
	}
	lead := v.codeSent("code.sent")
	if v.pending.Code.Right != "" && (wrong == nil || wrong.Field != "code") {
		lead = v.words.T("signup.nobody", v.pending.Code.To) + v.goodFor()
	}
	if wrong == nil || wrong.Field == "new_password" {
		fields[0].Value = cmp.Or(v.typed("code"), v.pending.Code.Right) // it is still good, and the person has typed it
	}
	mark(fields, wrong, fields[0].Value)
	return v.show(status, "signup", view{Done: v.told("code"), Problem: wrong, Data: struct {
		Lead, To, Action, Button, Back, BackText, Login string
		Fields                                          []field
	}{lead, v.pending.Code.To, "/portal/signup/account", v.words.T("signup.button"), v.href("/portal/signup"), v.words.T("code.again"), v.href(loginPath), fields}})
}

// showTaken says that there is an account, to who has shown what was sent to its
// address and to nobody else.
func (v *visit) showTaken(m method) error {
	_, kinds, err := v.arriving()
	if err != nil {
		return err
	}
	reset := ""
	if m.password != nil {
		reset = v.href("/portal/reset")
	}
	return v.show(http.StatusOK, "taken", view{Data: struct{ Lead, Login, Reset, Back, BackText string }{
		v.words.T("signup.taken", v.pending.Code.To), v.href(loginPath), reset, v.href("/portal/signup"), v.words.T("signup.other", v.list(kinds)),
	}})
}

// open makes the account of who has the code, and signs in.
func (v *visit) open() error {
	m, err := v.opening()
	if err != nil || v.pressedTwice() {
		return v.orElse(err, "/portal/continue")
	}
	v.pending.Code.Taken = false // a moment ago, perhaps
	wrong, err := v.openOnce(m)
	if wrong != nil || err != nil || v.pending.Code.Taken {
		if again, lookErr := v.answered(); again || lookErr != nil { // pressed twice: the code is spent
			return v.orElse(lookErr, "/portal/continue")
		}
	}
	switch {
	case wrong != nil:
		return v.showOpen(http.StatusBadRequest, m, wrong)
	case v.pending.Code.Taken:
		return v.orElse(v.reseal(), "/portal/signup/account")
	}
	return v.orElse(err, "/portal/continue")
}

// openOnce decides and writes.
func (v *visit) openOnce(m method) (*problem, error) {
	to, spend, wrong, err := v.owner()
	if wrong != nil || err != nil {
		return wrong, err
	}
	kind, password := v.pending.Code.Kind, v.form.Get("new_password")
	_, err = v.p.o.Store.FindAccount(v.r.Context(), kind, to)
	switch {
	case err == nil:
		v.pending.Code.Taken, v.pending.Request.LoginHint = true, v.pending.Code.To
		return nil, nil
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	src, amr := account.Source{}, byCode(kind)
	in := account.Create{Email: to, EmailVerified: true}
	if kind == store.ByPhone {
		in = account.Create{Phone: to, PhoneVerified: true}
	}
	if m.password != nil {
		src, in.Password, amr = *m.password, password, append([]string{"pwd"}, amr...)
		if err := account.CheckPassword(src, store.Account{Email: in.Email, Phone: in.Phone}, password); err != nil {
			return v.unfit(m, account.UnfitPassword(err)), nil
		}
	}
	who, writes, err := v.p.o.Accounts.Create(v.r.Context(), v.now, v.pending.Request.Client, src, in)
	if err != nil {
		return nil, err
	}
	return nil, v.p.enter(v, proved{account: who, source: m.id, amr: amr, writes: slices.Concat(spend, writes)})
}

// byCode is how a one-time code proves somebody (RFC 8176 §2).
func byCode(kind store.IdentifierKind) []string {
	if kind == store.ByPhone {
		return []string{"otp", "sms"}
	}
	return []string{"otp"}
}
