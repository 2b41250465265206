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
	RevocationEndpoint       string   `json:"revocation_endpoint"`
	RevocationAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionEndpoint    string   `json:"introspection_endpoint"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
}

func (i *Issuer) discovery(r *request) error {
	b, err := json.Marshal(i.metadata())
	if err != nil {
		return fmt.Errorf("encoding the metadata: %w", err)
	}
	r.public(b)
	return nil
}

func (i *Issuer) metadata() metadata {
	base := i.config.Issuer
	secrets := []string{"client_secret_basic", "client_secret_post"}
	withNone := append(slices.Clone(secrets), "none")
	return metadata{
		Issuer:                base,
		AuthorizationEndpoint: base + "/oauth2/authorize",
		TokenEndpoint:         base + "/oauth2/token",
		TokenAuthMethods:      withNone,
		JWKSURI:               base + "/oauth2/jwks",
		ResponseTypes:         []string{"code"},
		GrantTypes:            []string{oauth.GrantAuthorizationCode, oauth.GrantClientCredentials, oauth.GrantRefreshToken, oauth.GrantPassword},
		SubjectTypes:          []string{"public"},
		IDTokenAlgorithms:     i.algorithms(),
		Scopes:                i.scopes(),

		UserinfoEndpoint:         base + "/userinfo",
		RevocationEndpoint:       base + "/oauth2/revoke",
		RevocationAuthMethods:    withNone,
		IntrospectionEndpoint:    base + "/oauth2/introspect",
		IntrospectionAuthMethods: secrets,
	}
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

// scopes are openid, always the first, and all that clients may ask for.
func (i *Issuer) scopes() []string {
	var all []string
	for _, c := range i.clients.All() {
		all = append(all, c.Scopes...)
	}
	slices.Sort(all)
	all = slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "openid" })
	return append([]string{"openid"}, all...)
}

// jwks is GET /oauth2/jwks (RFC 7517 §5).
func (i *Issuer) jwks(r *request) error {
	r.public(i.state.ring().JWKS(r.now))
	return nil
}

// health is GET /health: 200 while the store answers.
func (i *Issuer) health(r *request) error {
	if err := i.state.alive(r.Context()); err != nil {
		return err
	}
	return r.json("application/json", struct {
		Status string `json:"status"`
	}{"ok"})
}
