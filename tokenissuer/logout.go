package tokenissuer

import (
	"errors"
	"net/http"
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// departure is a request to sign out, judged: whose it is, and where the
// browser goes then.
type departure struct {
	to    string // "" for a page of the portal
	state string
}

// Where a browser goes that no client has an address for: the page that says it
// is signed out, and for the other documented API the one to sign in again.
const (
	signedOutPage = portalPath + "logout"
	signInPage    = portalPath
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
	if _, _, err := i.portal.SignOut(r.w, r.tagged(), r.now); err != nil {
		return err
	}
	return r.leave(d, i.config.Issuer+signedOutPage)
}

func (i *Issuer) departure(r *request, form oauth.Form) (departure, error) {
	d := departure{state: form.Get("state")}
	id, hinted, err := i.leaver(form)
	if err != nil {
		return d, err
	}
	c, known := i.clients[oauth2].Client(id)
	if !known {
		return d, oauth.Fail(oauth.InvalidRequest, oauth.UnknownAuthClient)
	}
	r.event.Client = c.ID
	own, standard := form.Get("logout_redirect_uri"), form.Get("post_logout_redirect_uri")
	// RP-Initiated Logout §3: without a hint nobody vouches for who asks to be sent
	// there.
	if standard != "" && !hinted {
		return d, oauth.FailParam(oauth.InvalidRequest, oauth.BadParameter, "id_token_hint")
	}
	if own == "" {
		own = standard
	}
	d.to, err = farewell(c, own)
	return d, err
}

// leaver finds the client that a request names, by its id or by an ID token it
// got.
func (i *Issuer) leaver(form oauth.Form) (id string, hinted bool, err error) {
	id = form.Get("client_id")
	raw := form.Get("id_token_hint")
	if raw == "" {
		if id == "" {
			return "", false, oauth.FailParam(oauth.InvalidRequest, oauth.MissingLogoutClient, "client_id")
		}
		return id, false, nil
	}
	hint, err := token.ReadHint(raw, i)
	if err != nil || !slices.Contains(i.Identifiers(), hint.Issuer) || id != "" && id != hint.ClientID {
		return "", false, oauth.Wrap(oauth.InvalidRequest, oauth.BadParameter, errors.Join(err, errHint))
	}
	return hint.ClientID, true, nil
}

var errHint = errors.New("id_token_hint is not an ID token of this client")

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
	if asked := form.Get("redirect_url"); slices.ContainsFunc(i.clients[apiV1].All(), func(c *client.Client) bool {
		return slices.Contains(c.LogoutRedirectURIs, asked)
	}) {
		d.to = asked
	}
	if _, _, err := i.portal.SignOut(r.w, r.tagged(), r.now); err != nil {
		return err
	}
	return r.leave(d, i.config.Issuer+signInPage)
}
