package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// readyMade is an instance with the context that both libraries take their HTTP
// client from, and what go-oidc learned at the discovery endpoint.
func readyMade(t *testing.T) (*instance, context.Context, *oidc.Provider) {
	t.Helper()
	i := newInstance(t)
	i.configure(threeClients, oneSite)
	i.start()
	i.addAlice()
	ctx := oidc.ClientContext(t.Context(), i.client)
	provider, err := oidc.NewProvider(ctx, i.site)
	if err != nil {
		t.Fatal(err)
	}
	return i, ctx, provider
}

func TestReadyMadeClientsDiscoverGetAndVerifyTokens(t *testing.T) {
	_, ctx, provider := readyMade(t)
	endpoint := provider.Endpoint()

	for name, style := range map[string]oauth2.AuthStyle{"found out": oauth2.AuthStyleAutoDetect, "Basic": oauth2.AuthStyleInHeader, "body": oauth2.AuthStyleInParams} {
		robot := clientcredentials.Config{
			ClientID: "robot", ClientSecret: robotSecret, TokenURL: endpoint.TokenURL, Scopes: []string{"orders:read"}, AuthStyle: style,
		}
		before := time.Now()
		token, err := robot.Token(ctx)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !token.Valid() || token.RefreshToken != "" || token.Expiry.Sub(before) < 298*time.Second {
			t.Errorf("%s: %s until %s", name, token.Type(), token.Expiry)
		}
		// go-oidc has no word for an access token; its verifier checks any JWT of the issuer's.
		access, err := provider.Verifier(&oidc.Config{ClientID: "robot"}).Verify(ctx, token.AccessToken)
		if err != nil || access.Subject != "robot" {
			t.Errorf("%s: %v, %v", name, access, err)
		}
	}
}

func TestReadyMadeClientSignsInAndGoesOnByRefreshing(t *testing.T) {
	i, ctx, provider := readyMade(t)
	shop := oauth2.Config{ClientID: "shop", ClientSecret: shopSecret, Endpoint: provider.Endpoint(), Scopes: []string{"openid"}}

	// PasswordCredentialsToken has no place for auth_source_id, which is required.
	_, err := shop.PasswordCredentialsToken(ctx, "alice", alicePassword)
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); !ok || refused.ErrorCode != "invalid_request" || refused.ErrorDescription != "OAuth 2.0 Parameter: auth_source_id" {
		t.Errorf("without auth_source_id: %v", err)
	}
	// The token source that takes further parameters is this one.
	signIn := clientcredentials.Config{
		ClientID: shop.ClientID, ClientSecret: shop.ClientSecret, TokenURL: shop.Endpoint.TokenURL, Scopes: shop.Scopes,
		EndpointParams: byPassword("shop"),
	}
	signIn.EndpointParams.Del("client_id")
	token, err := signIn.Token(ctx)
	if err != nil {
		t.Fatal(err)
	}

	subject := ""
	for n := range 3 {
		raw, _ := token.Extra("id_token").(string)
		id, err := provider.Verifier(&oidc.Config{ClientID: "shop"}).Verify(ctx, raw)
		if err != nil {
			t.Fatalf("refresh %d: %v", n, err)
		}
		info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil || info.Subject != id.Subject || n > 0 && info.Subject != subject {
			t.Errorf("refresh %d: userinfo %v, %v; the ID token is %s's", n, info, err, id.Subject)
		}
		subject = id.Subject
		if _, err := provider.Verifier(&oidc.Config{ClientID: "robot"}).Verify(ctx, raw); err == nil {
			t.Error("another client accepts the ID token")
		}
		last := token.AccessToken
		token.Expiry = time.Now().Add(-time.Hour)
		if token, err = shop.TokenSource(ctx, token).Token(); err != nil {
			t.Fatalf("refresh %d: %v", n, err)
		}
		if token.AccessToken == last || !token.Valid() {
			t.Errorf("refresh %d: not a new token", n)
		}
	}

	// Its HTTP client goes through the gate with it.
	i.serve(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Auth-Subject")) })
	response, err := oauth2.NewClient(ctx, shop.TokenSource(ctx, token)).Get(i.site + "/orders")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if who, err := io.ReadAll(response.Body); err != nil || string(who) != subject {
		t.Errorf("the backend saw %q, %v; want %s", who, err, subject)
	}
}
