package portal

import (
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// sendCode sends a code for a sign-in.
func (v *visit) sendCode(m method, to string) error {
	d := v.destination(m.id, to)
	d.Kind, d.Once = m.by, v.asker()
	sent, err := v.p.o.Codes.Send(v.r.Context(), v.now, d)
	if err != nil {
		wrong, err := v.unsent(err)
		if err != nil {
			return err
		}
		return v.showLogin(http.StatusBadRequest, m.id, to, wrong)
	}
	v.method = ""
	return v.askFor(sent, sentCode{Source: m.id, To: to, Kind: m.by}, "/portal/code")
}

// sendTo sends a code for something else than a sign-in, which the page at path
// asks for. again shows the form once more, with what is wrong.
func (v *visit) sendTo(usage string, kind store.IdentifierKind, to, path string, again func(*problem) error) error {
	d := v.destination("", to)
	d.Usage, d.Kind, d.Once = usage, kind, v.asker()
	sent, err := v.p.o.Addresses.SendTo(v.r.Context(), v.now, d)
	if err != nil {
		wrong, err := v.unsent(err)
		if err != nil {
			return err
		}
		return again(wrong)
	}
	return v.askFor(sent, sentCode{To: to, Usage: usage, Kind: kind}, path)
}

// asker is who is led to the code before where it is too early for another one:
// the browser, whichever page of it asks again, and on the account page for this
// account alone.
func (v *visit) asker() string { return string(v.browser) + " " + v.pending.Account }

// askFor notes in p_state that a code is on its way, and leads to the page that
// asks for it.
func (v *visit) askFor(sent Sent, next sentCode, path string) error {
	next.Token, next.Until = sent.Token, v.now.Add(sent.Lifetime)
	v.pending.Code = next
	if err := v.reseal(); err != nil {
		return err
	}
	if sent.Before {
		return v.see(v.href(path, "done", "1"))
	}
	return v.see(v.href(path))
}

// codeSent says where the code went, and how long it is good.
func (v *visit) codeSent(key string) string {
	return v.words.T(key, v.pending.Code.To) + v.goodFor()
}

func (v *visit) goodFor() string {
	if left := v.pending.Code.Until.Sub(v.now); left > 0 {
		return v.words.T("code.good", v.span(left))
	}
	return ""
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

// waits are the refusals that time mends.
var waits = map[oauth.Reason]bool{
	oauth.TooManyRequests: true, oauth.NumberUsedUp: true, oauth.MailboxUsedUp: true, oauth.SMSUsedUp: true, oauth.EmailUsedUp: true,
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
	if key == "code.dead" {
		v.pending.Code.Until = v.now // the page must not say that it is good
		if err := v.reseal(); err != nil {
			return nil, err
		}
	}
	return &problem{"code", v.words.T(key)}, nil
}

func (v *visit) codeField() field {
	return field{Name: "code", Label: v.words.T("code.field"), Type: "text", Autocomplete: "one-time-code", Mode: "numeric"}
}

func (v *visit) destination(source, to string) Destination {
	return Destination{Client: v.pending.Request.Client, Source: source, To: to, Locale: v.words.T("language"), From: v.from()}
}
