package tokenissuer

import (
	"net/http"
	"net/url"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// requestNames are the parameters of an authorization request that GET may have
// in its address: nothing else that was posted gets there.
var requestNames = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
	"auth_source_id", "prompt", "max_age", "login_hint", "ui_locales", "claims", "id_token_hint",
}

// maxAddress keeps the address, with the cookies, under the 16 KiB of headers that
// Caddy reads.
const maxAddress = 12 << 10

// again is the address of the same request by GET, for a form that a page of
// another site sent: with it browsers keep back cookies that are SameSite=Lax,
// and who is signed in would look like a stranger. "": it is answered as it is.
func (i *Issuer) again(r *request, form oauth.Form) string {
	if r.Method != http.MethodPost || !i.foreign(r.Request) {
		return "" // a GET above all: there is no way round in circles
	}
	q := url.Values{}
	for _, name := range requestNames {
		if value := form.Get(name); value != "" {
			q.Set(name, value)
		}
	}
	to := i.config.Issuer + r.URL.Path + "?" + q.Encode()
	if len(to) > maxAddress {
		return ""
	}
	return to
}

// foreign reports whether a browser says that a page of another site made it send
// this (Fetch Metadata; Origin in those that are older).
func (i *Issuer) foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site":
		return true
	case "":
		origin := r.Header.Get("Origin")
		return origin != "" && origin != i.config.Issuer
	}
	return false
}
