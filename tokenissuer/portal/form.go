package portal

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// read takes in what the request brings: parameters, browser, session.
func (v *visit) read(page route) (err error) {
	post := v.r.Method == http.MethodPost
	// Before anything else can be wrong: what a page of another site makes a browser
	// send must not count as somebody's failure.
	if post && !v.p.sameOrigin(v.r) {
		return oauth.Fail(oauth.InvalidRequest, ForeignForm)
	}
	if post {
		v.form, err = oauth.ReadForm(v.w, v.r, oauth.FormEncoded)
	} else {
		v.form, err = oauth.ParseQuery(v.r.URL.RawQuery)
	}
	if err != nil {
		return err
	}
	v.speak(v.form.Get("lang"))
	if v.session, v.signedIn, err = v.p.Session(v.r.Context(), v.r, v.now); err != nil {
		return err
	}
	v.browser = v.p.browserOf(v.w, v.r)
	if !post {
		v.hear()
		return nil
	}
	if !v.signedIn && leadsOn(v.r.URL.Path) {
		return nil // nobody's form does nothing
	}
	for _, name := range v.form.Names() {
		if !slices.Contains(common, name) && !slices.Contains(page.fields, name) {
			return oauth.Fail(oauth.InvalidRequest, UnknownField)
		}
	}
	if !v.p.goodToken(v.form.Get("form_token"), v.browser, v.formSession()) {
		if v.r.URL.Path == passwordPath {
			if who, err := v.p.o.Store.Account(v.r.Context(), v.session.Account); err == nil && v.justChanged(who) {
				v.repeated = true // the form of the session before, which does nothing
				return nil
			}
		}
		return oauth.Fail(oauth.InvalidRequest, ForeignForm)
	}
	return nil
}

// leadsOn reports whether nobody's form leads to the sign-in, or says that nobody
// is signed in: the page was open when the person left in another tab.
func leadsOn(path string) bool {
	return strings.HasPrefix(path, accountPath) || path == "/portal/logout" || path == "/portal/consent"
}

// formSession is the session that the forms of a page belong to: consent shown
// to one account must not be given by another. To sign in is for anybody.
func (v *visit) formSession() string { return v.sessionOf(v.r.URL.Path) }

func (v *visit) sessionOf(path string) string {
	if routes[path].anybody {
		return ""
	}
	return v.session.ID
}
