package tokenissuer

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// documentAge is how long others may keep the key set and the metadata.
const documentAge = 5 * time.Minute

// metadata is the provider's description (OpenID Connect Discovery §3, RFC 8414
// §2): the ten documented members with the documented values first.
type metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	JWKSURI               string   `json:"jwks_uri"`
	ResponseTypes         []string `json:"response_types_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
	Scopes                []string `json:"scopes_supported"`

	UserinfoEndpoint         string   `json:"userinfo_endpoint"`
	RevocationEndpoint       string   `json:"revocation_endpoint,omitempty"`
	RevocationAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	IntrospectionEndpoint    string   `json:"introspection_endpoint,omitempty"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	EndSessionEndpoint       string   `json:"end_session_endpoint,omitempty"`
	ChallengeMethods         []string `json:"code_challenge_methods_supported,omitempty"`
	ResponseModes            []string `json:"response_modes_supported,omitempty"`
	BackchannelLogout        bool     `json:"backchannel_logout_supported,omitempty"`
	BackchannelSession       bool     `json:"backchannel_logout_session_supported,omitempty"`
	ISSParameter             bool     `json:"authorization_response_iss_parameter_supported,omitempty"`
}

func (i *Issuer) discovery(r *request) error {
	b, err := json.Marshal(i.metadata(r.family))
	if err != nil {
		return fmt.Errorf("encoding the metadata: %w", err)
	}
	r.public(b)
	return nil
}

func (i *Issuer) metadata(f family) metadata {
	base := i.base(f)
	m := metadata{
		Issuer:            base,
		TokenAuthMethods:  []string{"client_secret_basic", "client_secret_post", "none"},
		ResponseTypes:     []string{"code"},
		GrantTypes:        []string{oauth.GrantAuthorizationCode, oauth.GrantClientCredentials, oauth.GrantRefreshToken, oauth.GrantPassword},
		SubjectTypes:      []string{"public"},
		IDTokenAlgorithms: i.algorithms(),
		Scopes:            i.together.scopes[f],
	}
	m.ChallengeMethods = []string{oauth.S256}
	if i.portal != nil {
		m.ResponseModes, m.ISSParameter = []string{"query", "form_post"}, i.config.ISSParameter
		m.BackchannelLogout, m.BackchannelSession = true, true
		m.EndSessionEndpoint = i.base(oauth2) + "/logout" // one for both: the ID token says whose it is
	}
	if f == apiV1 {
		m.AuthorizationEndpoint, m.TokenEndpoint = base+"/authorize", base+"/token"
		m.JWKSURI, m.UserinfoEndpoint = base+"/jwks", base+"/userinfo"
		return m
	}
	if len(i.codes.order) > 0 {
		m.GrantTypes = append(m.GrantTypes, oauth.GrantOTPSMS, oauth.GrantOTPEmail)
	}
	m.AuthorizationEndpoint, m.TokenEndpoint = base+"/oauth2/authorize", base+"/oauth2/token"
	m.JWKSURI, m.UserinfoEndpoint = base+"/oauth2/jwks", base+"/userinfo"
	m.RevocationEndpoint, m.RevocationAuthMethods = base+"/oauth2/revoke", m.TokenAuthMethods
	m.IntrospectionEndpoint, m.IntrospectionAuthMethods = base+"/oauth2/introspect", m.TokenAuthMethods[:2]
	return m
}

// algorithms are those of every key that is published, the one of new tokens
// first: while an algorithm is being replaced there are two.
func (i *Issuer) algorithms() []string {
	algs := []string{string(i.algorithm)}
	for _, k := range i.state.ring().List() {
		if !slices.Contains(algs, string(k.Algorithm)) {
			algs = append(algs, string(k.Algorithm))
		}
	}
	return algs
}

// jwks is GET /oauth2/jwks (RFC 7517 §5).
func (i *Issuer) jwks(r *request) error { return i.keySet(r, i.state.ages()) }

// keySet publishes keys that were all there were so long ago. One that may lack a key
// which signs by now is worse than none: whoever verifies puts it in the place of what he
// has, and would keep what he has were he told to come again. Where a node is to go on
// without the others there may be nobody else to ask: it says what it knows, and nobody on
// the way may keep it.
func (i *Issuer) keySet(r *request, a ages) error {
	set := i.state.ring().JWKS(r.now)
	switch {
	case a.keys <= publishMost:
		r.public(set)
		return nil
	case i.config.Staleness.goesOn(a):
		return r.json("application/json", json.RawMessage(set))
	}
	return keysOf(a.keys)
}

// health is GET /health: 200 while the store answers and, where nodes share it, this
// one hears of the others.
func (i *Issuer) health(r *request) error {
	if err := i.state.alive(r.Context()); err != nil {
		return err
	}
	return i.healthOfGates(r)
}

// healthOfGates is GET /health/gate: 200 while the gates answer, which need no store.
// All nodes have the same one: who sends nobody to a node without it has none left.
// A server that is about to end says so while it still takes connections, so that a
// load balancer has turned away before it takes none.
func (i *Issuer) healthOfGates(r *request) error { return i.healthAt(r, i.state.ages()) }

func (i *Issuer) healthAt(r *request, a ages) error {
	switch {
	case i.config.Leaving != nil && i.config.Leaving(r.Context()):
		return oauth.Fail(oauth.TemporarilyUnavailable, oauth.ShuttingDown)
	case !i.config.Staleness.current(a.revoked):
		return errBehind
	case !i.config.Staleness.goesOn(a):
		return keysOf(a.keys)
	}
	answer := struct {
		Status string   `json:"status"`
		Behind *float64 `json:"behind_seconds,omitempty"`
	}{Status: "ok"}
	if i.state.changes != nil {
		seconds := a.revoked.Round(time.Millisecond).Seconds()
		answer.Behind = &seconds
	}
	return r.json("application/json", answer)
}
