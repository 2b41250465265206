package tokenissuer

import (
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// idaasPath is where the second documented API is served. Its issuer identifier
// is the issuer's with this path, or its discovery document stood in the wrong
// place (OpenID Connect Discovery §4).
const idaasPath = "/api/v1/oauth2"

// idaas is the second documented API.
var idaas = &dialect{
	name:      "idaas",
	mediaType: jsonUTF8,
	bodies:    oauth.FormEncoded,
	without:   []string{oauth.GrantOTPSMS, oauth.GrantOTPEmail},
	words: map[oauth.Reason]words{
		oauth.MalformedBasic:        badClient,
		oauth.NoClientCredential:    badClient,
		oauth.UnknownClient:         badClient,
		oauth.UnknownPKCEClient:     badClient,
		oauth.DisabledClient:        badClient,
		oauth.WrongSecret:           badClient,
		oauth.PublicWithSecret:      badClient,
		oauth.SecretRequired:        badClient,
		oauth.ClientMismatch:        {description: "Given client ID does not match authenticated client"},
		oauth.UnsupportedMediaType:  {description: "Unsupported content type"},
		oauth.RepeatedParameter:     parameter,
		oauth.UnknownGrantType:      {description: "Unsupported grant type"},
		oauth.GrantNotAllowed:       {description: "Unauthorized grant type"},
		oauth.AudienceNotGranted:    {code: oauth.AccessDenied, description: "Service not enabled within ", param: true},
		oauth.WrongCredentials:      {description: "Bad credentials"},
		oauth.UnsupportedIdentifier: {description: "Bad credentials"},
		oauth.SourceNotAssociated:   {code: oauth.InvalidGrant, description: "Bad credentials"},
		oauth.AccountLocked:         {description: "User is locked"},
		oauth.AccountFrozen:         {description: "User is disabled"},
		oauth.PasswordExpired:       {description: "Password has expired"},
		oauth.UnknownAuthClient:     {status: http.StatusBadRequest, description: "Bad client credentials"},
		oauth.UnknownCode:           badCode,
		oauth.ForeignCode:           badCode,
		oauth.SpentCode:             badCode,
		oauth.ExpiredCode:           badCode,
		oauth.WrongVerifier:         badCode,
		oauth.RedirectMismatch:      {code: "redirect_uri_mismatch"},
		oauth.UnknownRefreshToken:   badRefresh,
		oauth.SpentRefreshToken:     badRefresh,
		oauth.ExpiredRefreshToken:   badRefresh,
		oauth.RevokedFamily:         badRefresh,
		oauth.ForeignRefreshToken:   badRefresh,
	},
	missing: map[string]words{
		"grant_type":    {description: "Missing grant type"},
		"username":      {description: "An authorization username must be supplied."},
		"password":      {description: "An authorization password must be supplied."},
		"client_id":     {description: "Missing client_id"},
		"code":          {description: "An authorization code must be supplied."},
		"refresh_token": {description: "refresh_token parameter not provided"},
	},
	challenges: map[oauth.Reason]bearerWords{
		oauth.NoBearerToken: {
			status: http.StatusUnauthorized, challenge: `Bearer realm="oauth"`,
			body: &errorBody{Error: oauth.Unauthorized, Description: "Full authentication is required to access this resource"},
		},
		// The documented text goes on with the token itself, which is nobody's business.
		oauth.BadBearerToken: {
			status: http.StatusUnauthorized, challenge: `Bearer error="invalid_token", error_description="Invalid access token"`,
			body: &errorBody{Error: oauth.InvalidToken, Description: "Invalid access token"},
		},
		oauth.MissingScope: {
			status: http.StatusForbidden, challenge: `Bearer error="insufficient_scope", scope="get_user_info"`,
			body: &errorBody{Error: oauth.InsufficientScope},
		},
	},
	tokens: idaasTokenAnswer,
	person: idaasPerson, personType: jsonUTF8, personScope: "get_user_info",
	personClaims: []string{"preferred_username", "phone_number", "email", "name"},
}

var (
	badClient  = words{status: http.StatusUnauthorized, code: oauth.InvalidClient, description: "Bad client credentials"}
	badCode    = words{description: "Invalid authorization code"}
	badRefresh = words{description: "Invalid refresh token"} // the documented text goes on with the token itself
)

// idaasTokens is a success answer in the order of that API's samples.
type idaasTokens struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	RefreshToken string `json:"refresh_token,omitempty"`
	ExpiresIn    int64  `json:"expires_in"`
	Scope        string `json:"scope,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
}

// idaasTokenAnswer spells the type in lower case for the password grant alone, as
// the documents do.
func idaasTokenAnswer(m *minted) any {
	kind := "Bearer"
	if m.grant == oauth.GrantPassword {
		kind = "bearer"
	}
	return idaasTokens{
		AccessToken: m.access, TokenType: kind, RefreshToken: m.refresh, ExpiresIn: m.expiresIn(), Scope: m.scope, IDToken: m.id,
	}
}

// idaasUser is what that API's userinfo tells, in the order of its sample.
type idaasUser struct {
	ID       string `json:"id"`
	UserName string `json:"userName,omitempty"`
	Mobile   string `json:"mobile,omitempty"`
	Email    string `json:"email,omitempty"`
	Name     string `json:"name,omitempty"`
}

func idaasPerson(who *store.Account, info map[string]any) any {
	told := func(name string) string { text, _ := info[name].(string); return text }
	return idaasUser{
		ID: who.ID, UserName: told("preferred_username"), Mobile: account.Dashed(told("phone_number")), Email: told("email"), Name: told("name"),
	}
}
