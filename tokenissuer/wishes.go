package tokenissuer

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/portal"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// wishes reads what the client asks of the sign-in itself.
func (i *Issuer) wishes(c *client.Client, form oauth.Form, q *portal.Request, bad func(string) error) error {
	// acr_values is a wish (OpenID Connect Core §3.1.2.1) that is granted to nobody:
	// no class of authentication is defined here, and no token has an acr.
	q.Nonce, q.LoginHint = form.Get("nonce"), form.Get("login_hint")
	q.Locales = strings.Fields(form.Get("ui_locales"))
	q.Prompt = strings.Fields(form.Get("prompt"))
	q.Source, q.Claims = form.Get("auth_source_id"), form.Get("claims")
	if len(q.Nonce) > maxState {
		return bad("nonce")
	}
	if slices.Contains(q.Prompt, "none") && len(q.Prompt) > 1 {
		return bad("prompt")
	}
	if age := form.Get("max_age"); age != "" {
		n, err := strconv.ParseInt(age, 10, 32)
		if err != nil || n < 0 {
			return bad("max_age")
		}
		q.MaxAge = n
	}
	if q.Source != "" && !slices.Contains(c.Sources, q.Source) {
		return bad("auth_source_id")
	}
	if q.Claims != "" && !isObject(q.Claims) {
		return bad("claims")
	}
	if demandsACR(q.Claims) {
		return oauth.Fail(oauth.UnmetRequirements, oauth.UnmetACR)
	}
	var ok bool
	if q.Subject, ok = i.personAsked(q.Claims, form.Get("id_token_hint")); !ok {
		return bad("id_token_hint")
	}
	return nil
}

// personAsked is the one person that a client wants an answer about, by an ID
// token of hers or by the value of `sub` (OpenID Connect Core §3.1.2.1, §5.5.1);
// "" for anybody. false: the hint is none of ours, or they differ.
func (i *Issuer) personAsked(claims, hint string) (subject string, ok bool) {
	var parameter struct {
		IDToken struct {
			Sub struct {
				Value string `json:"value"`
			} `json:"sub"`
		} `json:"id_token"`
	}
	if claims != "" && json.Unmarshal([]byte(claims), &parameter) == nil {
		subject = parameter.IDToken.Sub.Value
	}
	if hint == "" {
		return subject, true
	}
	h, err := token.ReadHint(hint, i)
	if err != nil || !slices.Contains(i.Identifiers(), h.Issuer) || subject != "" && subject != h.Subject {
		return "", false
	}
	return h.Subject, true
}

// demandsACR reports whether a class of authentication is essential: then a
// sign-in without it has failed (OpenID Connect Core §5.5.1.1).
func demandsACR(claims string) bool {
	var parameter struct {
		IDToken struct {
			ACR struct {
				Essential bool  `json:"essential"`
				Value     any   `json:"value"`
				Values    []any `json:"values"`
			} `json:"acr"`
		} `json:"id_token"`
	}
	if claims == "" || json.Unmarshal([]byte(claims), &parameter) != nil {
		return false
	}
	acr := parameter.IDToken.ACR
	return acr.Essential && (acr.Value != nil || len(acr.Values) > 0)
}

func isObject(text string) bool {
	var m map[string]json.RawMessage
	return json.Unmarshal([]byte(text), &m) == nil && m != nil
}
