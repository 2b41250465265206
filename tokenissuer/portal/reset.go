package portal

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Resets proves with one-time codes that people own an address of their account,
// so that they may set a new password. Errors are *oauth.Error.
type Resets interface {
	// Kinds is where codes can be sent; none: no page offers it.
	Kinds() []store.IdentifierKind

	// SendReset sends a code and returns the otp_token that belongs to it. Whether
	// anybody has the address must not show.
	SendReset(ctx context.Context, now time.Time, d Destination) (token string, err error)

	// CheckReset finds the account of who has the code. The writes use it up, and
	// are applied with the new password.
	CheckReset(ctx context.Context, now time.Time, d Destination, token, code string) (store.Account, []store.Write, error)
}

// resettable are the addresses a reset can go to.
func (p *Portal) resettable() []store.IdentifierKind {
	if p.o.Resets == nil {
		return nil
	}
	return p.o.Resets.Kinds()
}

// resetting opens the request, in which people must be able to sign in with a
// password that can be reset.
func (v *visit) resetting() (method, error) {
	if err := v.resume(); err != nil {
		return method{}, err
	}
	ms, _, err := v.methods()
	if err != nil {
		return method{}, err
	}
	i := slices.IndexFunc(ms, func(m method) bool { return m.password != nil })
	if i < 0 || len(v.p.resettable()) == 0 {
		return method{}, oauth.Fail(oauth.InvalidRequest, NoSource)
	}
	return ms[i], nil
}

// resetPage asks where to send the code.
func (v *visit) resetPage() error {
	if _, err := v.resetting(); err != nil {
		return err
	}
	return v.showReset(http.StatusOK, "", nil)
}

func (v *visit) addresses() string {
	var list []string
	for _, k := range v.p.resettable() {
		list = append(list, v.words.T("kind."+string(k)))
	}
	return strings.Join(list, v.words.T("or"))
}

func (v *visit) showReset(status int, to string, wrong *problem) error {
	fields := []field{{
		Name: "username", Label: capital(v.addresses()), Value: to, Type: "text", Autocomplete: "username", Hint: v.words.T("reset.hint"),
	}}
	mark(fields, wrong, "")
	return v.show(status, "reset", view{Problem: wrong, Data: struct {
		Back   string
		Fields []field
	}{v.href("/portal/login"), fields}})
}

// reset sends the code.
func (v *visit) reset() error {
	if _, err := v.resetting(); err != nil {
		return err
	}
	to := v.form.Get("username")
	kind := account.KindOf(to)
	if to == "" || !slices.Contains(v.p.resettable(), kind) {
		return v.showReset(http.StatusBadRequest, to, &problem{"username", v.words.T("login.empty.name", v.addresses())})
	}
	d := v.destination("", to)
	d.Kind = kind
	token, err := v.p.o.Resets.SendReset(v.r.Context(), v.now, d)
	if err != nil {
		wrong, err := v.unsent(err)
		if err != nil {
			return err
		}
		return v.showReset(http.StatusBadRequest, to, wrong)
	}
	v.pending.Code = sentCode{To: to, Token: token, Kind: kind}
	if err := v.reseal(); err != nil {
		return err
	}
	return v.see(v.href("/portal/reset/password"))
}

// resetSent is resetting with a code on its way.
func (v *visit) resetSent() (method, error) {
	m, err := v.resetting()
	if err == nil && v.pending.Code.Kind == "" {
		err = oauth.Fail(oauth.InvalidRequest, ForeignState)
	}
	return m, err
}

// setPage asks for the code and the new password.
func (v *visit) setPage() error {
	m, err := v.resetSent()
	if err != nil {
		return err
	}
	return v.showSet(http.StatusOK, m, nil)
}

func (v *visit) showSet(status int, m method, wrong *problem) error {
	fields := []field{v.codeField(), v.newPassword(m)}
	if wrong != nil && wrong.Field == "new_password" {
		fields[0].Value = v.form.Get("code") // it is still good, and the person has just typed it
	}
	mark(fields, wrong, "")
	return v.show(status, "set", view{Problem: wrong, Data: struct {
		To, Again string
		Fields    []field
	}{v.pending.Code.To, v.href("/portal/reset"), fields}})
}

// set sets the new password of who has the code. It signs nobody in: to have the
// mailbox is less than to know the password, and the next page asks for that.
func (v *visit) set() error {
	m, err := v.resetSent()
	if err != nil {
		return err
	}
	sent, code := v.pending.Code, v.form.Get("code")
	if code == "" {
		return v.showSet(http.StatusBadRequest, m, &problem{"code", v.words.T("code.empty")})
	}
	ctx := v.r.Context()
	d := v.destination("", sent.To)
	d.Kind = sent.Kind
	who, writes, err := v.p.o.Resets.CheckReset(ctx, v.now, d, sent.Token, code)
	if err != nil {
		wrong, err := v.wrongCode(err)
		if err != nil {
			return err
		}
		return v.showSet(http.StatusBadRequest, m, wrong)
	}
	change, err := v.p.o.Accounts.ResetPassword(ctx, v.now, *m.password, who, v.form.Get("new_password"))
	if err != nil {
		return v.setRefused(m, err)
	}
	if err := v.p.endAll(ctx, v.now, who.ID); err != nil {
		return err
	}
	if err := v.p.o.Store.Apply(ctx, v.now, append(writes, change...)...); err != nil {
		return err
	}
	v.pending.Code, v.pending.Request.LoginHint = sentCode{}, sent.To
	if err := v.reseal(); err != nil {
		return err
	}
	return v.see(v.href("/portal/login", "done", "1"))
}

func (v *visit) setRefused(m method, err error) error {
	e := oauth.AsError(err)
	wrong := v.unfit(m, e)
	switch {
	case wrong != nil:
	case e.Reason == oauth.UserLocked:
		wrong = &problem{"code", v.words.T("login.locked")}
	case e.Reason == oauth.UserFrozen:
		wrong = &problem{"code", v.words.T("login.frozen")}
	default:
		return err
	}
	v.refused(http.StatusBadRequest, e)
	return v.showSet(http.StatusBadRequest, m, wrong)
}
