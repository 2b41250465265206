package portal

import (
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// sendCode sends a one-time code and asks for it on the next page.
func (v *visit) sendCode(m method, to string) error {
	token, err := v.p.o.Codes.Send(v.r.Context(), v.now, v.destination(m.id, to))
	if err != nil {
		e := oauth.AsError(err)
		key := "code.unsent"
		switch {
		case e.Reason == oauth.TooManyRequests:
			key = "code.wait"
		case e.Code == oauth.ServerError || e.Code == oauth.TemporarilyUnavailable:
			return err
		}
		v.refused(http.StatusBadRequest, e)
		return v.showLogin(http.StatusBadRequest, m.id, to, &problem{"username", v.words.T(key)})
	}
	v.pending.Code = sentCode{Source: m.id, To: to, Token: token}
	if err := v.reseal(); err != nil {
		return err
	}
	v.method = ""
	return v.see(v.href("/portal/code"))
}

func (v *visit) destination(source, to string) Destination {
	return Destination{Client: v.pending.Request.Client, Source: source, To: to, Locale: v.words.T("language"), From: v.from()}
}

// codePage asks for the code that was sent.
func (v *visit) codePage() error {
	if _, err := v.sent(); err != nil {
		return err
	}
	return v.showCode(http.StatusOK, nil)
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
	if !ok || m.password != nil || v.pending.Code.Token == "" {
		return method{}, oauth.Fail(oauth.InvalidRequest, ForeignState)
	}
	return m, nil
}

func (v *visit) showCode(status int, wrong *problem) error {
	fields := []field{{Name: "code", Label: v.words.T("code.field"), Type: "text", Autocomplete: "one-time-code", Mode: "numeric"}}
	mark(fields, wrong, "")
	return v.show(status, "code", view{Problem: wrong, Data: struct {
		To, Source, Back string
		Fields           []field
	}{v.pending.Code.To, v.pending.Code.Source, v.href("/portal/login"), fields}})
}

// code takes the code.
func (v *visit) code() error {
	m, err := v.sent()
	if err != nil {
		return err
	}
	code := v.form.Get("code")
	if code == "" {
		return v.showCode(http.StatusBadRequest, &problem{"code", v.words.T("code.empty")})
	}
	amr := []string{"otp"} // RFC 8176 §2
	if m.by == store.ByPhone {
		amr = append(amr, "sms")
	}
	err = v.retry(func() (proved, error) {
		account, writes, err := v.p.o.Codes.Check(v.r.Context(), v.now, v.destination(m.id, v.pending.Code.To), v.pending.Code.Token, code)
		return proved{account, m.id, amr, writes}, err
	})
	if err == nil {
		return v.see(v.href("/portal/continue"))
	}
	e := oauth.AsError(err)
	if e.Code == oauth.ServerError || e.Code == oauth.TemporarilyUnavailable {
		return err
	}
	key := "code.wrong"
	switch e.Reason {
	case oauth.AccountLocked:
		key = "login.locked"
	case oauth.AccountFrozen:
		key = "login.frozen"
	}
	v.refused(http.StatusBadRequest, e)
	return v.showCode(http.StatusBadRequest, &problem{"code", v.words.T(key)})
}
