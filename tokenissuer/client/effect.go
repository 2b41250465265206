package client

import (
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// checkEffect refuses words that would do nothing: who wrote one expects
// something of it.
func (r Registration) checkEffect(add add) {
	if len(r.Grants) > 0 && !r.OfPeople() {
		const mend = "without effect: nobody signs in through a client that has neither the authorization_code nor the password nor the otp grant"
		for _, w := range []struct {
			option string
			set    bool
		}{
			{"claims", len(r.Claims) > 0},
			{"auth_sources", len(r.Sources) > 0},
			{"signup", r.SignUp},
			{"refresh", r.Refresh != ""},
			{"logout_redirect_uris", len(r.LogoutRedirectURIs) > 0},
		} {
			if w.set {
				add(w.option, mend)
			}
		}
	} else if r.Refresh != "" && !r.HasGrant(oauth.GrantRefreshToken) {
		add("refresh", "without effect: refresh_token is not among the grants")
	}
	if r.Type == M2M && len(r.CORSOrigins) > 0 {
		add("cors_origins", "without effect: an m2m client is not in a browser")
	}
	if len(r.Audiences) > 0 && !r.HasGrant(oauth.GrantClientCredentials) {
		add("audience", "without effect: client_credentials is not among the grants")
	}
	if r.OTPSendWithoutSecret && r.Dialect == IDaaS {
		add("otp_send_without_secret", "without effect: dialect idaas has no one-time codes")
	}
}

// checkEffectInBrowsers is checkEffect for the words of the authorization_code
// grant.
func (r Registration) checkEffectInBrowsers(add add) {
	const (
		noBrowser = "without effect: no sign-in of the client begins in a browser, for authorization_code is not among the grants"
		noConsent = "without effect: nobody is asked for consent, for authorization_code is not among the grants"
		noCode    = "without effect: no code is redeemed, for authorization_code is not among the grants"
	)
	if !r.HasGrant(oauth.GrantAuthorizationCode) {
		for _, w := range []struct {
			option string
			set    bool
			mend   string
		}{
			{"logout", r.Logout != "", noBrowser},
			{"backchannel_logout_uri", r.BackchannelLogoutURI != "", noBrowser},
			{"first_party", r.FirstParty, noConsent},
			{"pkce_without_secret", r.PKCEWithoutSecret, noCode},
		} {
			if w.set {
				add(w.option, w.mend)
			}
		}
	}
	if r.PKCEWithoutSecret && r.Type.Public() {
		add("pkce_without_secret", "without effect: a %s client redeems its codes without a secret anyway", r.Type)
	}
	switch {
	case r.BackchannelLogoutCAFile == "":
	case r.BackchannelLogoutURI == "":
		add("backchannel_logout_ca_file", "without effect: there is no backchannel_logout_uri")
	case strings.HasPrefix(r.BackchannelLogoutURI, "http:"):
		add("backchannel_logout_ca_file", "without effect: http has no certificate to verify; write https in backchannel_logout_uri")
	}
}
