package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const everyKindOfToken = `
		client phone {
			type mobile
			grants password refresh_token
			scopes openid
		}
		client modern {
			type mobile
			grants password refresh_token
			access_token at+jwt
			scopes openid
		}
		client opaque {
			type mobile
			grants password refresh_token
			access_token opaque
			scopes openid
		}
		client robot {
			type m2m
			secret {env.ROBOT_SECRET}
			grants client_credentials
			scopes orders:read stock:read
		}
		client robot-modern {
			type m2m
			secret {env.ROBOT_SECRET}
			grants client_credentials
			access_token at+jwt
			scopes orders:read stock:read
		}`

var kinds = []string{"phone", "modern", "opaque"}

func newKinds(t *testing.T) *instance {
	t.Helper()
	i := newInstance(t)
	i.configure(everyKindOfToken, "{$SITE} {\n\ttoken_issuer\n\ttoken_gate\n\ttoken_gate /orders {\n\t\tscope orders:read\n\t}\n\trespond \"{http.auth.user.client_id} {http.auth.user.scope}\"\n}\n")
	i.start()
	i.addAlice()
	return i
}

func (i *instance) earnOne(client string) string {
	i.Helper()
	return i.earn(byPassword(client)).Access
}

// A39: the token of somebody who may not sign in any more opens nothing from the
// next request on, whatever kind it is and however often it was let through.
func TestTokensOfAFrozenOrRemovedAccountOpenNothing(t *testing.T) {
	for verb, undo := range map[string]string{"freeze": "unfreeze", "remove": ""} {
		i := newKinds(t)
		held := map[string]string{}
		for _, client := range kinds {
			held[client] = i.earnOne(client)
			for range 3 { // into the cache, and out of it
				if a := i.must(http.MethodGet, "/", "", bearer(held[client])); a.status != http.StatusOK {
					t.Fatalf("%s before: %v", client, a)
				}
			}
		}
		if out, err := i.command("", "issuer", "user", verb, "alice", "--address", i.admin); err != nil {
			t.Fatalf("%s: %v: %s", verb, err, out)
		}
		for client, raw := range held {
			a := i.must(http.MethodGet, "/", "", bearer(raw))
			if a.status != http.StatusUnauthorized || !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
				t.Errorf("%s, %s: %v", verb, client, a)
			}
		}
		if undo == "" {
			continue
		}
		if out, err := i.command("", "issuer", "user", undo, "alice", "--address", i.admin); err != nil {
			t.Fatalf("%s: %v: %s", undo, err, out)
		}
		if a := i.must(http.MethodGet, "/", "", bearer(i.earnOne("phone"))); a.status != http.StatusOK {
			t.Errorf("a new token after %s: %v", undo, a)
		}
	}
}

// A40: half an opaque token, and one with another letter, are nobody's.
func TestPiecesOfAnOpaqueTokenOpenNothing(t *testing.T) {
	i := newKinds(t)
	good := i.earnOne("opaque")
	for n := 1; n < len(good); n++ {
		if a := i.must(http.MethodGet, "/", "", bearer(good[:n])); a.status != http.StatusUnauthorized {
			t.Errorf("%d of %d characters: %v", n, len(good), a)
		}
	}
	for n := range len(good) {
		other := byte('0')
		if good[n] == other {
			other = '1'
		}
		if a := i.must(http.MethodGet, "/", "", bearer(good[:n]+string(other)+good[n+1:])); a.status != http.StatusUnauthorized {
			t.Errorf("with another character at %d: %v", n, a)
		}
	}
	for _, raw := range []string{strings.ToUpper(good), good + good, good + "=", good + ".", "0" + good} {
		if a := i.must(http.MethodGet, "/", "", bearer(raw)); a.status != http.StatusUnauthorized {
			t.Errorf("%d characters: %v", len(raw), a)
		}
	}
	if a := i.must(http.MethodGet, "/", "", bearer(good)); a.status != http.StatusOK {
		t.Errorf("the whole: %v", a)
	}
}

// RFC 9068 beside the documents' own tokens: both forms of scope open one gate.
func TestBothFormsOfScopeOpenTheGate(t *testing.T) {
	i := newKinds(t)
	for client, want := range map[string]struct{ typ, scope string }{
		"robot": {"JWT", `["orders:read","stock:read"]`}, "robot-modern": {"at+jwt", `"orders:read stock:read"`},
	} {
		earn := func(scope string) string { return i.earn(with(byRobot(), "client_id", client, "scope", scope)).Access }
		raw := earn("orders:read stock:read")
		head, payload, _ := cutToken(raw)
		var header struct{ Typ string }
		var claims struct {
			Scope    json.RawMessage
			ClientID string `json:"client_id"`
		}
		read(t, head, &header)
		read(t, payload, &claims)
		// RFC 9068 §2.2: client_id is required; the documents' tokens have none.
		if header.Typ != want.typ || string(claims.Scope) != want.scope || (claims.ClientID != "") != (want.typ == "at+jwt") {
			t.Errorf("%s: %+v %s %q", client, header, claims.Scope, claims.ClientID)
		}
		if a := i.must(http.MethodGet, "/orders", "", bearer(raw)); a.status != http.StatusOK || a.body != client+" orders:read stock:read" {
			t.Errorf("%s: %v", client, a)
		}
		if a := i.must(http.MethodGet, "/orders", "", bearer(earn("stock:read"))); a.status != http.StatusForbidden || !strings.Contains(a.header.Get("WWW-Authenticate"), `scope="orders:read"`) {
			t.Errorf("%s without the scope: %v", client, a)
		}
	}
}

// A22: the ID token that comes with an access token of any kind is none.
func TestIDTokensOpenNothing(t *testing.T) {
	i := newKinds(t)
	for _, client := range kinds {
		both := i.earn(byPassword(client))
		if a := i.must(http.MethodGet, "/", "", bearer(both.Access)); a.status != http.StatusOK {
			t.Errorf("%s: %v", client, a)
		}
		a := i.must(http.MethodGet, "/", "", bearer(both.ID))
		if both.ID == "" || a.status != http.StatusUnauthorized || !strings.Contains(a.header.Get("WWW-Authenticate"), "this is not an access token") {
			t.Errorf("%s, its ID token of %d bytes: %v", client, len(both.ID), a)
		}
	}
}

func read(t *testing.T, part string, into any) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}
