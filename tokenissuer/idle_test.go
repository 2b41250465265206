package tokenissuer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

// TestWordsThatDoNothingYetAreTold: what no client uses is told, and no longer
// once one does.
func TestWordsThatDoNothingYetAreTold(t *testing.T) {
	t.Parallel()
	secrets := []string{secret}
	robot := tokenissuer.Client{ID: "robot", Type: "m2m", Secrets: secrets, Grants: []string{"client_credentials"}, Scopes: []string{"read"}}
	shop := tokenissuer.Client{ID: "shop", Type: "web", Secrets: secrets, Grants: []string{"password", "refresh_token"}, Sources: []string{"staff"}}
	page := tokenissuer.Client{
		ID: "page", Type: "spa", Grants: []string{"authorization_code"}, RedirectURIs: []string{"https://page.example.com/"}, Sources: []string{"staff"}, Scopes: []string{"read"},
	}
	modern := page
	modern.ID, modern.Dialect = "modern", "oauth"
	texts := page
	texts.ID, texts.Grants, texts.RedirectURIs, texts.Scopes, texts.Sources = "texts", tokenissuer.GrantsOTP, nil, nil, []string{"sms"}
	with := func(c tokenissuer.Client, change func(*tokenissuer.Client)) tokenissuer.Client {
		change(&c)
		return c
	}
	staff := tokenissuer.Source{ID: "staff", Type: "password"}
	mails := tokenissuer.Source{ID: "mails", Type: "password", Identifiers: []string{"email"}}
	sms := tokenissuer.Source{ID: "sms", Type: "sms_otp", Webhook: message.WebhookConfig{URL: "https://sms.example.com/"}}
	kept := tokenissuer.Source{ID: "kept", Type: "sms_otp"}
	pages := tokenissuer.Config{Portal: tokenissuer.Portal{Color: "#0a5"}, ISSParameter: true, AuthorizationCodeLifetime: time.Minute}
	refreshing := tokenissuer.Config{RefreshTokenLifetime: time.Hour, RefreshWindow: time.Second}
	otp := tokenissuer.Config{OTPPerNumber: []tokenissuer.Rate{{Count: 1, Within: time.Minute}}, OTPPerClient: tokenissuer.Rate{Count: 9, Within: time.Minute}}
	for _, c := range []struct {
		name    string
		config  tokenissuer.Config
		sources []tokenissuer.Source
		clients []tokenissuer.Client
		want    string // the words, each with its owner
	}{
		{"a text for a scope of nobody's", tokenissuer.Config{Scopes: map[string]string{"openid": "Who you are", "raed": "Read", "read": "Read"}}, []tokenissuer.Source{staff}, []tokenissuer.Client{page}, "scope raed"},
		{"nothing said", tokenissuer.Config{}, nil, []tokenissuer.Client{robot}, ""},
		{"pages without people", pages, nil, []tokenissuer.Client{robot}, "portal, iss_parameter, authorization_code_lifetime"},
		{"pages and passwords alone", pages, []tokenissuer.Source{staff}, []tokenissuer.Client{shop}, "portal, iss_parameter, authorization_code_lifetime"},
		{"pages with people", pages, []tokenissuer.Source{staff}, []tokenissuer.Client{page}, ""},
		{"pages of those who have iss anyway", pages, []tokenissuer.Source{staff}, []tokenissuer.Client{modern}, "iss_parameter"},
		{"languages without words", tokenissuer.Config{Locales: []string{"en"}}, nil, []tokenissuer.Client{robot}, "locale"},
		{"languages of messages", tokenissuer.Config{Locales: []string{"en"}}, []tokenissuer.Source{sms}, []tokenissuer.Client{texts}, ""},
		{"ID tokens of nobody", tokenissuer.Config{IDTokenLifetime: time.Minute}, nil, []tokenissuer.Client{robot}, "id_token_lifetime"},
		{"ID tokens", tokenissuer.Config{IDTokenLifetime: time.Minute}, []tokenissuer.Source{staff}, []tokenissuer.Client{shop}, ""},
		{"refreshing nothing", refreshing, []tokenissuer.Source{staff}, []tokenissuer.Client{page}, "refresh_token_lifetime, refresh_window"},
		{"refreshing", refreshing, []tokenissuer.Source{staff}, []tokenissuer.Client{shop}, ""},
		{"limits of no message", otp, []tokenissuer.Source{staff}, []tokenissuer.Client{shop}, "limits otp_per_number, limits otp_per_client"},
		{"limits of messages", otp, []tokenissuer.Source{sms}, []tokenissuer.Client{texts}, ""},
		{"nothing to keep", tokenissuer.Config{Development: true}, []tokenissuer.Source{sms}, []tokenissuer.Client{texts}, "development"},
		{"something to keep", tokenissuer.Config{Development: true}, []tokenissuer.Source{kept}, nil, "auth_source kept: auth_source"},
		{"a source of nobody's", tokenissuer.Config{}, []tokenissuer.Source{staff, sms}, []tokenissuer.Client{shop}, "auth_source sms: auth_source"},
		{"people who can only have names", tokenissuer.Config{}, []tokenissuer.Source{staff}, []tokenissuer.Client{with(shop, func(c *tokenissuer.Client) { c.SignUp = true })}, "client shop: signup"},
		{
			"people with addresses",
			tokenissuer.Config{},
			[]tokenissuer.Source{mails, sms},
			[]tokenissuer.Client{with(shop, func(c *tokenissuer.Client) { c.SignUp, c.Sources = true, []string{"mails", "sms"} })},
			"",
		},
		{"a scope that only people give", tokenissuer.Config{}, nil, []tokenissuer.Client{with(robot, func(c *tokenissuer.Client) { c.Scopes = []string{"read", "email"} })}, "client robot: scopes email"},
		{"a scope that the password grant does not give", tokenissuer.Config{}, []tokenissuer.Source{staff}, []tokenissuer.Client{with(shop, func(c *tokenissuer.Client) { c.Scopes = []string{"openid", "read"} })}, "client shop: scopes read"},
	} {
		c.config.Sources, c.config.Clients = c.sources, c.clients
		var got []string
		for _, idle := range c.config.Idle() {
			word, _, _ := strings.Cut(idle.Error(), ": without effect")
			got = append(got, word)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

// TestSignupThatOpensNoAccountIsAMistake: an address is proven by a code, and a
// name is given by POST /signup alone.
func TestSignupThatOpensNoAccountIsAMistake(t *testing.T) {
	t.Parallel()
	staff := tokenissuer.Source{ID: "staff", Type: "password"}
	mails := tokenissuer.Source{ID: "mails", Type: "password", Identifiers: []string{"email"}}
	sms := tokenissuer.Source{ID: "sms", Type: "sms_otp", Webhook: message.WebhookConfig{URL: "https://sms.example.com/"}}
	for _, c := range []struct {
		kind, dialect, grant, source string
		want                         string
	}{
		{"web", "ciam", "password", "staff", ""},
		{"web", "ciam", "password", "mails", "no auth_source of the client sends one"},
		{"web", "ciam", "authorization_code", "sms", ""},
		{"web", "idaas", "password", "staff", "no auth_source of the client sends one"},
		{"web", "idaas", "authorization_code", "sms", ""},
		{"spa", "ciam", "password", "staff", "no auth_source of the client sends one"},
		{"spa", "ciam", "password", "staff sms", "neither the otp nor the authorization_code grant"},
		{"spa", "ciam", "authorization_code", "staff", "no auth_source of the client sends one"},
		{"mobile", "oauth", "otp", "sms", ""},
	} {
		client := tokenissuer.Client{ID: "shop", Type: "web", Dialect: c.dialect, Secrets: []string{secret}, Grants: []string{c.grant}, Sources: strings.Fields(c.source), SignUp: true}
		switch c.kind {
		case "spa":
			client.Type = "spa"
		case "mobile":
			client.Type = "mobile"
		}
		switch c.grant {
		case "otp":
			client.Grants = tokenissuer.GrantsOTP
		case "authorization_code":
			client.RedirectURIs = []string{"https://shop.example.com/"}
		}
		config := tokenissuer.Config{Issuer: "https://auth.example.com", Sources: []tokenissuer.Source{staff, mails, sms}, Clients: []tokenissuer.Client{client}}
		err := config.Validate()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%v: %v", c, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), "client shop: signup: without effect") || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%v: %v", c, err)
		}
	}
}
