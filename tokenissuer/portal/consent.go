package portal

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// consentTo is what an account lets a client have; zero for nothing.
func (p *Portal) consentTo(ctx context.Context, account, client string) (store.Consent, error) {
	given, err := p.o.Store.Consent(ctx, account, client)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.Consent{}, err
	}
	return given, nil
}

// asking opens the request, which must be waiting for consent. false: the answer
// is given.
func (v *visit) asking() (bool, error) {
	if err := v.resume(); err != nil {
		return false, err
	}
	if s, _, err := v.step(); err != nil || s != consent {
		return false, v.orElse(err, "/portal/continue")
	}
	return true, nil
}

// consentPage asks whether the app may have what it asks for.
func (v *visit) consentPage() error {
	if ask, err := v.asking(); err != nil || !ask {
		return err
	}
	app, err := v.app()
	if err != nil {
		return err
	}
	who, err := v.p.o.Store.Account(v.r.Context(), v.session.Account)
	if err != nil {
		return err
	}
	var texts []string
	for _, scope := range v.pending.Request.Scopes {
		texts = append(texts, v.scopeText(scope))
	}
	return v.show(http.StatusOK, "consent", view{Data: struct {
		App, Who, Host, Other string
		Scopes                []string
	}{appName(app), nameOf(who), place(v.pending.Request.RedirectURI), v.href(loginPath, "switch", "1"), texts}})
}

// scopeText is the operator's text for a scope, or ours, or its name.
func (v *visit) scopeText(scope string) string {
	if text := v.p.o.Scopes[scope]; text != "" {
		return text
	}
	if text := v.words.first("scope." + scope); text != "" {
		return text
	}
	return scope
}

// place is where an address leads, as people read it: a host, or the scheme of an
// app on the same device.
func place(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return address
	case u.Host != "":
		return u.Host
	}
	return u.Scheme
}

// consent takes the answer. What is consented to is in p_state, so that no form
// can add to it.
func (v *visit) consent() error {
	if ask, err := v.asking(); err != nil || !ask {
		return err
	}
	request := v.pending.Request
	switch v.form.Get("decision") {
	case "allow":
		err := v.p.o.Store.Apply(v.r.Context(), v.now, store.PutConsent{
			Account: v.session.Account, Client: request.Client, Scopes: request.Scopes,
		})
		if err != nil {
			return err
		}
	case "deny":
		v.pending.Denied = true
		if err := v.reseal(); err != nil {
			return err
		}
	default:
		return oauth.Fail(oauth.InvalidRequest, UnknownField)
	}
	return v.see(v.href("/portal/continue"))
}

// continuePage is where every form of the flow leads. To the app it goes on by
// itself but by a page of its own: as a redirect it would still be the form's
// answer, which our form-action and that of every browser keeps on this site.
func (v *visit) continuePage() error {
	if err := v.resumeLate(); err != nil {
		return err
	}
	s, _, err := v.step()
	switch {
	case err != nil:
		return err
	case s == signIn:
		return v.see(v.href(loginPath))
	case s == consent:
		return v.see(v.href("/portal/consent"))
	}
	app, err := v.app()
	if err != nil {
		return err
	}
	if app == nil {
		v.state = ""
		return v.see(v.href(cmp.Or(v.pending.Back, accountPath)))
	}
	return v.show(http.StatusOK, "continue", view{Next: v.href("/portal/return"), Data: appName(app)})
}

// leave returns to the app, which uses the request up.
func (v *visit) leave() error {
	if v.r.Method != http.MethodGet { // HEAD asks for headers, and not for a code
		v.w.Header().Set("Allow", "GET")
		return oauth.Fail(oauth.InvalidRequest, oauth.MethodNotAllowed)
	}
	if err := v.resumeLate(); err != nil {
		return err
	}
	s, code, err := v.step()
	switch {
	case err != nil:
		return err
	case s == signIn || s == consent || v.pending.Request.Client == "":
		return v.see(v.href("/portal/continue"))
	case s == deny:
		return v.deny(code)
	}
	return v.give()
}
