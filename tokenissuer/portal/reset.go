package portal

import (
	"errors"
	"net/http"
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

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
	if i < 0 || len(v.p.addressable()) == 0 {
		return method{}, oauth.Fail(oauth.InvalidRequest, NoSource)
	}
	return ms[i], nil
}

// resetPage asks where to send the code.
func (v *visit) resetPage() error {
	if _, err := v.resetting(); err != nil {
		return err
	}
	to := v.typedName("username")
	if sent := v.pending.Code; to == "" && slices.Contains(v.p.addressable(), sent.Kind) {
		to = sent.To // another code is wanted, perhaps, or it was a slip
	}
	return v.showReset(http.StatusOK, to, v.wrong)
}

func (v *visit) showReset(status int, to string, wrong *problem) error {
	fields := []field{v.addressField(v.p.addressable(), to, v.words.T("reset.hint"))}
	mark(fields, wrong, "")
	return v.show(status, "reset", view{Problem: wrong, Data: struct {
		Back   string
		Fields []field
	}{v.href(loginPath), fields}})
}

// reset sends the code.
func (v *visit) reset() error {
	if _, err := v.resetting(); err != nil {
		return err
	}
	to := v.typedName("username")
	kind := account.KindOf(to)
	if to == "" || !slices.Contains(v.p.addressable(), kind) {
		return v.showReset(http.StatusBadRequest, to, v.noAddress(to, v.p.addressable()))
	}
	return v.sendTo(account.ForReset, kind, to, "/portal/reset/password", func(wrong *problem) error {
		return v.showReset(http.StatusBadRequest, to, wrong)
	})
}

// resetSent is resetting with a code on its way.
func (v *visit) resetSent() (method, error) {
	m, err := v.resetting()
	if err == nil && v.pending.Code.Usage != account.ForReset {
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
	if over, err := v.mended(); over || err != nil {
		return v.orElse(err, "/portal/continue")
	}
	return v.showSet(http.StatusOK, m, v.wrong)
}

func (v *visit) showSet(status int, m method, wrong *problem) error {
	fields := []field{v.codeField(), v.newPassword(m)}
	if wrong != nil && wrong.Field == "new_password" {
		fields[0].Value = v.typed("code") // it is still good, and the person has just typed it
	}
	mark(fields, wrong, "")
	return v.show(status, "set", view{Done: v.told("set"), Problem: wrong, Data: struct {
		Lead, To, Again string
		Fields          []field
	}{v.codeSent("reset.sent"), v.pending.Code.To, v.href("/portal/reset"), fields}})
}

// set sets the new password of who has the code. It signs nobody in: to have the
// mailbox is less than to know the password, and the next page asks for that.
func (v *visit) set() error {
	m, err := v.resetSent()
	if err != nil {
		return err
	}
	wrong, err := v.setOnce(m)
	if errors.Is(err, store.ErrConflict) { // the code was used, or the address moved: what is there now says which
		wrong, err = v.setOnce(m)
	}
	if wrong != nil || err != nil {
		switch done, lookErr := v.hasWorked(); {
		case lookErr != nil:
			return lookErr
		case done: // pressed twice: the code is spent
		case wrong != nil:
			return v.showSet(http.StatusBadRequest, m, wrong)
		default:
			return err
		}
	}
	v.pending.Code, v.pending.Request.LoginHint = sentCode{}, v.pending.Code.To
	if err := v.reseal(); err != nil {
		return err
	}
	return v.see(v.href(loginPath, "done", "1"))
}

// setOnce decides and writes.
func (v *visit) setOnce(m method) (*problem, error) {
	to, writes, wrong, err := v.owner()
	if wrong != nil || err != nil {
		return wrong, err
	}
	ctx, kind := v.r.Context(), v.pending.Code.Kind
	who, err := v.p.o.Store.FindAccount(ctx, kind, to)
	if errors.Is(err, store.ErrNotFound) { // it had an account when the code was sent
		return &problem{"code", v.words.T("code.nobody")}, nil
	}
	if err != nil {
		return nil, err
	}
	change, err := v.p.o.Accounts.ResetPassword(ctx, v.now, *m.password, who, v.form.Get("new_password"))
	if err != nil {
		return v.setRefused(m, err)
	}
	// The hash took its time: whoever proved an address that the account has given
	// up meanwhile proved nothing about it.
	still := store.VerifyIdentifier{Account: who.ID, Kind: kind, Value: to}
	_, once := v.formCookie()
	err = v.p.o.Store.Apply(ctx, v.now, slices.Concat(writes, change, v.p.telling(v.now, who.ID), []store.Write{still, once})...)
	if err == nil {
		v.renewed(who)
	}
	return nil, err
}

func (v *visit) setRefused(m method, err error) (*problem, error) {
	e := oauth.AsError(err)
	wrong := v.unfit(m, e)
	switch {
	case wrong != nil:
	case e.Reason == oauth.UserLocked:
		wrong = &problem{"code", v.words.T("login.locked")}
	case e.Reason == oauth.UserFrozen:
		wrong = &problem{"code", v.words.T("login.frozen")}
	default:
		return nil, err
	}
	v.refused(http.StatusBadRequest, e)
	return wrong, nil
}
