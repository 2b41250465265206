package portal

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// A button that is pressed twice sends one form twice. The browser drops the
// first answer, with its cookie, and keeps the second; and by then what the form
// proved is spent, or no longer right. So the second answer is that of the first.

// formCookie is the one session cookie that this very form can lead to in a
// browser as it was when it sent it, and what makes that happen once. What was
// typed belongs to it: another code, or another new password, is another form.
func (v *visit) formCookie() (string, store.TakeQuota) {
	mac := hmac.New(sha256.New, v.p.cookieKey)
	for _, field := range []string{
		v.form.Get("form_token"), v.form.Get("p_state"), v.p.cookie(v.r, sessionCookie), v.form.Get("username"), v.typedCode(), v.form.Get("new_password"),
	} {
		_, _ = mac.Write([]byte(strconv.Itoa(len(field)) + ":" + field)) // never fails
	}
	cookie := encoding.EncodeToString(mac.Sum(nil))
	return cookie, store.TakeQuota{Key: v.p.o.Accounts.QuotaKey("form", cookie), Most: 1, Window: pendingFor}
}

// answered gives the browser the session that this very form began a moment ago.
// false: it has begun none.
func (v *visit) answered() (bool, error) {
	cookie, _ := v.formCookie()
	s, err := v.p.o.Store.Session(v.r.Context(), hashOf(cookie))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case v.now.Sub(s.AuthTime) >= repeatFor && v.now.Sub(s.Created) >= repeatFor:
		return false, nil
	}
	v.p.setCookie(v.w, sessionCookie, cookie)
	return true, nil
}

// hasWorked reports whether this very form did its work a moment ago, for one that
// begins no session.
func (v *visit) hasWorked() (bool, error) {
	_, once := v.formCookie()
	used, err := v.p.o.Store.Quota(v.r.Context(), v.now, once.Key)
	return err == nil && used.Taken > 0 && v.now.Sub(used.Ends.Add(-pendingFor)) < repeatFor, err
}

// pressedTwice reports whether a form with a code comes again after it has signed
// this browser in, which has the cookie: the code is gone, and nobody is to be
// told that it was wrong.
func (v *visit) pressedTwice() bool {
	if !v.signedIn || v.now.Sub(v.session.AuthTime) >= repeatFor {
		return false
	}
	s, _, err := v.step()
	return err == nil && s != signIn
}

// justChanged reports whether this browser has set the password a moment ago, and
// has the cookie of the session that this began.
func (v *visit) justChanged(who store.Account) bool {
	lately := func(at time.Time) bool { return v.now.Sub(at) < repeatFor }
	return lately(who.PasswordSet) && lately(v.session.Created) && !v.session.Created.Before(who.PasswordSet)
}
