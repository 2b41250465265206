package portal

import (
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// sendCode sends a one-time code and asks for it on the next page.
func (v *visit) sendCode(m method, to string) error {
	token, err := v.p.o.Codes.Send(v.r.Context(), v.now, v.destination(m.id, to))
	if err != nil {
		wrong, err := v.unsent(err)
		if err != nil {
			return err
		}
		return v.showLogin(http.StatusBadRequest, m.id, to, wrong)
	}
	v.pending.Code = sentCode{Source: m.id, To: to, Token: token}
	if err := v.reseal(); err != nil {
		return err
	}
	v.method = ""
	return v.see(v.href("/portal/code"))
}

// unsent says why a code was not sent; an error is nothing that a person can
// mend.
func (v *visit) unsent(err error) (*problem, error) {
	e := oauth.AsError(err)
	key := "code.unsent"
	switch e.Reason {
	case oauth.TooManyRequests, oauth.NumberUsedUp, oauth.MailboxUsedUp, oauth.SMSUsedUp, oauth.EmailUsedUp:
		key = "code.wait"
	case oauth.SendingFailed, oauth.MalformedPhone, oauth.MalformedEmail, oauth.RefusedAddress:
	default:
		return nil, err
	}
	v.refused(http.StatusBadRequest, e)
	return &problem{"username", v.words.T(key)}, nil
}

// wrongCode says what is wrong with a code.
func (v *visit) wrongCode(err error) (*problem, error) {
	e := oauth.AsError(err)
	key, ok := map[oauth.Reason]string{
		oauth.WrongOTP: "code.wrong", oauth.UnknownOTPToken: "code.dead", oauth.MismatchedOTP: "code.dead",
		oauth.UnknownUser: "code.nobody", oauth.AccountLocked: "login.locked", oauth.AccountFrozen: "login.frozen",
	}[e.Reason]
	if !ok {
		return nil, err
	}
	v.refused(http.StatusBadRequest, e)
	return &problem{"code", v.words.T(key)}, nil
}

func (v *visit) codeField() field {
	return field{Name: "code", Label: v.words.T("code.field"), Type: "text", Autocomplete: "one-time-code", Mode: "numeric"}
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
	if !ok || m.password != nil || v.pending.Code.Token == "" || v.pending.Code.Usage != "" {
		return method{}, oauth.Fail(oauth.InvalidRequest, ForeignState)
	}
	return m, nil
}

func (v *visit) showCode(status int, wrong *problem) error {
	fields := []field{v.codeField()}
	mark(fields, wrong, "")
	return v.show(status, "code", view{Problem: wrong, Data: struct {
		To, Source, Back string
		Fields           []field
	}{v.pending.Code.To, v.pending.Code.Source, v.href("/portal/login"), fields}})
}

// code takes the code.
func (v *visit) code() error {
	m, err := v.sent()
	if err != nil || v.pressedTwice() {
		return v.orElse(err, "/portal/continue")
	}
	code := v.form.Get("code")
	if code == "" {
		return v.showCode(http.StatusBadRequest, &problem{"code", v.words.T("code.empty")})
	}
	err = v.retry(func() (proved, error) {
		account, writes, err := v.p.o.Codes.Check(v.r.Context(), v.now, v.destination(m.id, v.pending.Code.To), v.pending.Code.Token, code)
		return proved{account, m.id, byCode(m.by), writes}, err
	})
	if err == nil {
		return v.see(v.href("/portal/continue"))
	}
	wrong, err := v.wrongCode(err)
	if err != nil {
		return err
	}
	return v.showCode(http.StatusBadRequest, wrong)
}
