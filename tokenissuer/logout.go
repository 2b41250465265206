package tokenissuer

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/portal"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// departure is a request to sign out, judged: whose it is, and where the
// browser goes then.
type departure struct {
	to    string // "" for a page of the portal
	state string
	hint  *token.Hint // nil where no ID token was sent
}

// Where a browser goes that no client has an address for: the page that asks
// who is signed in, and says good-bye to everybody else, and for the other
// documented API the one to sign in again.
const (
	signOutPage = portalPath + "logout"
	signInPage  = portalPath
)

// logout is GET and POST /logout, as the documented API has it and as OpenID
// Connect RP-Initiated Logout 1.0 does. It ends the browser's session, and tells
// the clients of that session.
func (i *Issuer) logout(r *request) error {
	r.plainJSON = true
	form, err := authorizeForm(r)
	if err != nil {
		return err
	}
	d, err := i.departure(r, form)
	if err != nil {
		// The standard's parameter is answered by a page, the documented one by JSON.
		if form.Get("post_logout_redirect_uri") != "" {
			return i.stay(r, err)
		}
		return err
	}
	session, signedIn, err := i.portal.Session(r.Context(), r.Request, r.now)
	switch {
	case err != nil:
		return err
	case !signedIn && r.Method == http.MethodPost:
		// A form of another site comes without our cookie, which is SameSite=Lax. It
		// comes with the redirect, and whoever has none is sent on from there.
		to := i.config.Issuer + "/logout" + again(form)
		if len(to) > maxAddress {
			return oauth.Fail(oauth.InvalidRequest, portal.RequestTooLong)
		}
		return r.leave(departure{to: to}, "")
	case signedIn && d.hint != nil && !vouchedBy(d.hint, session):
		// RP-Initiated Logout §2: "MUST ask the End-User … if the supplied ID Token does
		// not belong to the current OP session". It vouches for nobody here, so nobody
		// is sent to its address either.
		return r.leave(departure{}, i.config.Issuer+signOutPage)
	}
	if _, _, err := i.portal.SignOut(r.w, r.tagged(), r.now); err != nil {
		return err
	}
	return r.leave(d, i.config.Issuer+signOutPage)
}

// again is a form as a query.
func again(form oauth.Form) string {
	fields := url.Values{}
	for _, name := range form.Names() {
		fields.Set(name, form.Get(name))
	}
	return "?" + fields.Encode()
}

func (i *Issuer) departure(r *request, form oauth.Form) (departure, error) {
	d := departure{state: form.Get("state")}
	if len(d.state) > maxState {
		return d, oauth.FailParam(oauth.InvalidRequest, oauth.BadParameter, "state")
	}
	c, err := i.leaver(form, &d)
	if err != nil {
		return d, err
	}
	r.event.Client = c.ID
	own, standard := form.Get("logout_redirect_uri"), form.Get("post_logout_redirect_uri")
	switch {
	// RP-Initiated Logout §3: without a hint nobody vouches for who asks to be sent
	// there.
	case standard != "" && d.hint == nil:
		return d, oauth.FailParam(oauth.InvalidRequest, oauth.BadParameter, "id_token_hint")
	// There a request without an address asks for no redirect; the documented one
	// asks for the address that is registered.
	case own == "" && standard == "" && d.hint != nil && len(c.LogoutRedirectURIs) > 1:
		return d, nil
	case own == "":
		own = standard
	}
	d.to, err = farewell(c, own)
	return d, err
}

// leaver finds the client that a request names: by its id, or by an ID token it
// got. The second is the standard's, which has one such address for the whole
// provider: so an ID token of either documented API will do.
func (i *Issuer) leaver(form oauth.Form, d *departure) (*client.Client, error) {
	id, find := form.Get("client_id"), i.clients[oauth2].Client
	if raw := form.Get("id_token_hint"); raw != "" {
		hint, err := token.ReadHint(raw, i)
		if err != nil || !slices.Contains(i.Identifiers(), hint.Issuer) || id != "" && id != hint.ClientID {
			return nil, oauth.Wrap(oauth.InvalidRequest, oauth.BadParameter, errors.Join(err, errHint))
		}
		d.hint, id, find = &hint, hint.ClientID, i.client
	}
	if id == "" {
		return nil, oauth.FailParam(oauth.InvalidRequest, oauth.MissingLogoutClient, "client_id")
	}
	c, known := find(id)
	if !known || c.Disabled {
		return nil, oauth.Fail(oauth.InvalidRequest, oauth.UnknownAuthClient)
	}
	return c, nil
}

var errHint = errors.New("id_token_hint is not an ID token of this client")

// vouchedBy reports whether an ID token belongs to a session: it is the same
// person's and, where it names its session, of this one.
func vouchedBy(hint *token.Hint, s store.Session) bool {
	return hint.Subject == s.Account && (hint.Session == "" || hint.Session == s.ID)
}

// farewell is the address to go to: the one asked for if it is registered, the
// only one where none was asked for.
func farewell(c *client.Client, asked string) (string, error) {
	known := c.LogoutRedirectURIs
	switch {
	case asked != "" && slices.Contains(known, asked):
		return asked, nil
	case asked == "" && len(known) == 0:
		return "", nil
	case asked == "" && len(known) == 1:
		return known[0], nil
	}
	return "", oauth.Fail(oauth.InvalidRequest, oauth.RedirectMismatch)
}

// leave sends the browser on.
func (r *request) leave(d departure, otherwise string) error {
	to := d.to
	if to == "" {
		to = otherwise
	} else if d.state != "" {
		to = withQuery(to, [][2]string{{"state", d.state}})
	}
	noStore(r.w.Header())
	r.w.Header().Set("Location", to)
	status := http.StatusFound
	if r.Method == http.MethodPost {
		status = http.StatusSeeOther
	}
	r.w.WriteHeader(status)
	return nil
}

// idaasLogout is GET /api/v1/logout: the documented one would send the browser
// to any address, this one only to those that a client has registered.
func (i *Issuer) idaasLogout(r *request) error {
	form, err := oauth.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	var d departure
	if asked := form.Get("redirect_url"); i.together.leaving[asked] {
		d.to = asked
	}
	if _, _, err := i.portal.SignOut(r.w, r.tagged(), r.now); err != nil {
		return err
	}
	return r.leave(d, i.config.Issuer+signInPage)
}
