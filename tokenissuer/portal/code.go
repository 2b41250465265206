package portal

import (
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// codePage asks for the code that was sent.
func (v *visit) codePage() error {
	if _, err := v.sent(); err != nil {
		return err
	}
	if over, err := v.mended(); over || err != nil {
		return v.orElse(err, "/portal/continue")
	}
	return v.showCode(http.StatusOK, v.wrong)
}

// sent opens the request, in which a code must be on its way.
func (v *visit) sent() (method, error) {
	if err := v.resume(); err != nil {
		return method{}, err
	}
	ms, _, err := v.methods()
	if err != nil {
		return method{}, err
	}
	m, ok := called(ms, v.pending.Code.Source)
	if !ok || m.password != nil || v.pending.Code.Token == "" || v.pending.Code.Usage != "" {
		return method{}, oauth.Fail(oauth.InvalidRequest, ForeignState)
	}
	return m, nil
}

func (v *visit) showCode(status int, wrong *problem) error {
	fields, signup := []field{v.codeField()}, ""
	if ms, app, err := v.methods(); err == nil && len(v.p.newcomers(app, ms)) > 0 {
		signup = v.href("/portal/signup")
	}
	mark(fields, wrong, "")
	return v.show(status, "code", view{Done: v.told("code"), Problem: wrong, Data: struct {
		Lead, To, Source, Back, SignUp string
		Fields                         []field
	}{v.codeSent("code.sent"), v.pending.Code.To, v.pending.Code.Source, v.href(loginPath), signup, fields}})
}

// code takes the code.
func (v *visit) code() error {
	m, err := v.sent()
	if err != nil || v.pressedTwice() {
		return v.orElse(err, "/portal/continue")
	}
	code := v.typedCode()
	if code == "" {
		return v.showCode(http.StatusBadRequest, &problem{"code", v.words.T("code.empty")})
	}
	d := v.destination(m.id, v.pending.Code.To)
	d.Kind = m.by
	err = v.retry(func() (proved, error) {
		account, writes, err := v.p.o.Codes.Check(v.r.Context(), v.now, d, v.pending.Code.Token, code)
		return proved{account: account, source: m.id, amr: byCode(m.by), writes: writes}, err
	})
	if err == nil {
		return v.see(v.href("/portal/continue"))
	}
	if again, lookErr := v.answered(); again || lookErr != nil { // pressed twice: the code is spent
		return v.orElse(lookErr, "/portal/continue")
	}
	if oauth.AsError(err).Reason == oauth.UnknownUser && v.welcomes(m.by) {
		v.refused(http.StatusSeeOther, oauth.AsError(err))
		v.pending.Code.Right = code
		return v.orElse(v.reseal(), "/portal/signup/account")
	}
	wrong, err := v.wrongCode(err)
	if err != nil {
		return err
	}
	return v.showCode(http.StatusBadRequest, wrong)
}
