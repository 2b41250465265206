package portal

import (
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// sendCode sends a one-time code and asks for it on the next page.
func (v *visit) sendCode(m method, to string) error {
	next, d := sentCode{Source: m.id, To: to}, v.destination(m.id, to)
	d.Once = v.button()
	sent, err := v.p.o.Codes.Send(v.r.Context(), v.now, d)
	switch {
	case err == nil:
		if err := v.keep(sent, next); err != nil {
			return err
		}
	case v.sentLately(err, next):
		v.method = ""
		return v.see(v.href("/portal/code", "done", "1"))
	default:
		wrong, err := v.unsent(err)
		if err != nil {
			return err
		}
		return v.showLogin(http.StatusBadRequest, m.id, to, wrong)
	}
	v.method = ""
	return v.see(v.href("/portal/code"))
}

// button is what a button that sends a code is known by when it is pressed twice:
// no two pages have the same token in their forms.
func (v *visit) button() string { return string(v.browser) + " " + v.form.Get("form_token") }

// keep notes in p_state that a code is on its way.
func (v *visit) keep(sent Sent, next sentCode) error {
	next.Token, next.Lifetime, next.At = sent.Token, sent.Lifetime, v.now
	v.pending.Code = next
	return v.reseal()
}

// sentLately reports whether a new code is refused only because the one before,
// to the same address, has just been sent and is good.
func (v *visit) sentLately(err error, next sentCode) bool {
	before := v.pending.Code
	lately := before.Token != "" && before.Source == next.Source && before.To == next.To && before.Usage == next.Usage && v.now.Sub(before.At) < before.Lifetime
	return lately && waits[oauth.AsError(err).Reason]
}

// waits are the refusals that time mends.
var waits = map[oauth.Reason]bool{
	oauth.TooManyRequests: true, oauth.NumberUsedUp: true, oauth.MailboxUsedUp: true, oauth.SMSUsedUp: true, oauth.EmailUsedUp: true,
}

// codeSent says where the code went, and how long it is good.
func (v *visit) codeSent(key string) string {
	text := v.words.T(key, v.pending.Code.To)
	if v.pending.Code.Lifetime > 0 {
		text += v.words.T("code.good", v.span(v.pending.Code.Lifetime))
	}
	return text
}

// span is a time to wait, in words and rounded up.
func (v *visit) span(d time.Duration) string {
	for _, unit := range []struct {
		key  string
		of   time.Duration
		upTo time.Duration
	}{{"code.seconds", time.Second, 2 * time.Minute}, {"code.minutes", time.Minute, 2 * time.Hour}} {
		if d < unit.upTo {
			return v.words.T(unit.key, (d+unit.of-1)/unit.of)
		}
	}
	return v.words.T("code.hours", (d+time.Hour-1)/time.Hour)
}

// unsent says why a code was not sent; an error is nothing that a person can
// mend.
func (v *visit) unsent(err error) (*problem, error) {
	e := oauth.AsError(err)
	text := v.words.T("code.unsent")
	switch {
	case waits[e.Reason] && e.Retry > 0:
		text = v.words.T("code.wait_for", v.span(e.Retry))
	case waits[e.Reason]:
		text = v.words.T("code.wait")
	case e.Reason == oauth.MalformedPhone:
		text = v.words.T("contact.bad.phone_number")
	case e.Reason == oauth.MalformedEmail:
		text = v.words.T("contact.bad.email")
	case e.Reason == oauth.SendingFailed, e.Reason == oauth.RefusedAddress:
	default:
		return nil, err
	}
	v.refused(http.StatusBadRequest, e)
	return &problem{"username", text}, nil
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

// typedCode is the code without the spaces that keyboards and people put in.
func (v *visit) typedCode() string { return strings.Join(strings.Fields(v.form.Get("code")), "") }

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
	fields, signup := []field{v.codeField()}, ""
	if ms, app, err := v.methods(); err == nil && len(v.p.newcomers(app, ms)) > 0 {
		signup = v.href("/portal/signup")
	}
	mark(fields, wrong, "")
	return v.show(status, "code", view{Done: v.told("code"), Problem: wrong, Data: struct {
		Lead, To, Source, Back, SignUp string
		Fields                         []field
	}{v.codeSent("code.sent"), v.pending.Code.To, v.pending.Code.Source, v.href("/portal/login"), signup, fields}})
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
