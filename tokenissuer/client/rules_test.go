package client

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGivableIsWhatTokensCanReallyHave(t *testing.T) {
	for _, c := range []struct {
		name, dialect, grants, want string
	}{
		{"the client itself", CIAM, "client_credentials", "orders:read"},
		{"a password of the first documented API", "", "password refresh_token", "openid"},
		{"both", CIAM, "password client_credentials", "openid orders:read"},
		{"a code", CIAM, "authorization_code", "openid profile orders:read"},
		{"a password of the RFCs", OAuth, "password", "openid profile orders:read"},
		{"a password of the second documented API", IDaaS, "password", "get_user_info openid profile orders:read"},
		{"the client itself in another dialect", IDaaS, "client_credentials", "orders:read"},
		{"nothing", CIAM, "", ""},
	} {
		r := Registration{Dialect: c.dialect, Grants: strings.Fields(c.grants), Scopes: []string{"openid", "profile", "orders:read"}}
		if got := r.Givable(); !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

func TestWordsWithoutEffectAreProblems(t *testing.T) {
	robot := Registration{ID: "robot", Type: M2M, Secrets: []string{"0123456789abcdef"}, Grants: []string{"client_credentials"}}
	shop := Registration{ID: "shop", Type: Web, Secrets: robot.Secrets, Grants: []string{"password", "refresh_token"}, Sources: []string{"password"}}
	phone := Registration{ID: "phone", Type: Mobile, Grants: []string{"password"}, Sources: []string{"password"}}
	with := func(r Registration, change func(*Registration)) Registration {
		change(&r)
		return r
	}
	for _, c := range []struct {
		name   string
		r      Registration
		option string
	}{
		{"a robot", robot, ""},
		{"a robot with claims", with(robot, func(r *Registration) { r.Claims = []string{"email"} }), "claims"},
		{"a robot with sources", with(robot, func(r *Registration) { r.Sources = []string{"password"} }), "auth_sources"},
		{"a robot that rotates", with(robot, func(r *Registration) { r.Refresh = "rotate" }), "refresh"},
		{"a robot that introspects all", with(robot, func(r *Registration) { r.IntrospectAny = true }), ""},
		{"a robot for two services", with(robot, func(r *Registration) { r.Audiences = []string{"https://api.example.com", "billing"} }), ""},
		{"a robot for one service twice", with(robot, func(r *Registration) { r.Audiences = []string{"billing", "billing"} }), "audience"},
		{"a robot for itself", with(robot, func(r *Registration) { r.Audiences = []string{"robot"} }), "audience"},
		{"a robot for what is no name", with(robot, func(r *Registration) { r.Audiences = []string{"a b", "", `"`} }), "audience audience audience"},
		{"a shop of passwords for a service", with(shop, func(r *Registration) { r.Audiences = []string{"billing"} }), "audience"},
		{"a shop that rotates", with(shop, func(r *Registration) { r.Refresh = "rotate"; r.Claims = []string{"email"} }), ""},
		{"rotating nothing", with(shop, func(r *Registration) { r.Refresh = "rotate"; r.Grants = []string{"password"} }), "refresh"},
		{"a shop of passwords that ends with the browser", with(shop, func(r *Registration) { r.Logout = "tokens" }), "logout"},
		{"a shop of passwords that is told", with(shop, func(r *Registration) { r.BackchannelLogoutURI = "https://shop.example.com/bye" }), "backchannel_logout_uri"},
		{"a phone", phone, ""},
		{"a phone that introspects all", with(phone, func(r *Registration) { r.IntrospectAny = true }), "introspect"},
		{"a token for a week", with(shop, func(r *Registration) { r.AccessTokenLifetime = 168 * time.Hour }), "access_token_lifetime"},
	} {
		got := ""
		for _, p := range c.r.Problems() {
			got = strings.TrimSpace(got + " " + p.Option)
		}
		if got != c.option {
			t.Errorf("%s: %q, want %q: %v", c.name, got, c.option, c.r.Problems())
		}
	}
}
