package token

import (
	"errors"
	"testing"
	"time"
)

func TestVoucherIsNeitherAnAccessTokenNorAnIDToken(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	key, err := Generate(ES256)
	if err != nil {
		t.Fatal(err)
	}
	keys := NewRing([]*Key{key})
	for name, caller := range map[string]*Claims{
		"one of ours":        {Issuer: "https://auth.example.com", Subject: "ann", ClientID: "shop", Audience: []string{"shop"}, Scopes: []string{"openid"}},
		"without a client":   {foreign: true, Issuer: "https://partner.example", Subject: "ann", Audience: []string{"a", "b"}},
		"of hostile content": {foreign: true, Issuer: "https://partner.example", Subject: "ann", Audience: []string{"shop"}, All: map[string]any{"azp": "", "scope": nil, "typ": "at+jwt", "iss": "x"}},
	} {
		v := Voucher{Issuer: "https://auth.example.com", ID: "1", Caller: caller, IssuedAt: now, Expires: now.Add(time.Minute)}
		payload, err := v.Payload()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := key.Sign(TypeJWT, payload)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(raw, keys, Want{Issuer: "https://auth.example.com"}, now); !errors.Is(err, ErrType) {
			t.Errorf("%s: as an access token: %v", name, err)
		}
		// At a gate elsewhere, to which this issuer is a foreign one.
		if _, err := Verify(raw, keys, Want{Issuer: "https://auth.example.com", Foreign: true}, now); !errors.Is(err, ErrType) {
			t.Errorf("%s: as an access token of a foreign issuer: %v", name, err)
		}
		if _, err := ReadHint(raw, keys); !errors.Is(err, ErrType) {
			t.Errorf("%s: as an ID token: %v", name, err)
		}
	}
}

func TestVoucherRepeatsWhatTheCallersTokenSays(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	caller := &Claims{
		foreign: true, Issuer: "https://partner.example", Subject: "ann", ClientID: "app", Audience: []string{"a", "b"}, Scopes: []string{"r", "w"},
		All: map[string]any{"iss": "https://partner.example", "sub": "ann", "exp": 1, "nonce": "n", "groups": []any{"eu", "<b>"}, "auth_time": 7},
	}
	v := Voucher{Issuer: "https://auth.example.com", ID: "1", Caller: caller, IssuedAt: now, Expires: now.Add(time.Minute)}
	payload, err := v.Payload()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"sub":"https://partner.example#ann","subject_issuer":"https://partner.example","aud":["a","b"],"azp":"https://partner.example#app","client_id":"https://partner.example#app","scope":"r w",` +
		`"iss":"https://auth.example.com","exp":1800000060,"iat":1800000000,"jti":"1","auth_time":7,"groups":["eu","<b>"]}`
	if string(payload) != want {
		t.Errorf("got  %s\nwant %s", payload, want)
	}
}

// A sub is somebody within its iss (OIDC Core §2), and most readers look at these
// two alone: a partner's "billing" under our name would be our "billing".
func TestVoucherMakesNobodyOfAPartnersOneOfOurs(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	const ours, partner = "https://auth.example.com", "https://partner.example"
	for name, c := range map[string]struct {
		caller           *Claims
		sub, client, azp string
	}{
		"our client":                     {&Claims{Issuer: ours, Subject: "billing", ClientID: "billing"}, "billing", "billing", "billing"},
		"a person of ours":               {&Claims{Issuer: ours, Subject: "0b1f", ClientID: "shop"}, "0b1f", "shop", "shop"},
		"one of ours in another dialect": {&Claims{Issuer: ours + "/api/v1/oauth2", Subject: "0b1f", ClientID: "shop"}, "0b1f", "shop", "shop"},
		"a partner's":                    {&Claims{Issuer: partner, Subject: "billing", ClientID: "billing", foreign: true}, partner + "#billing", partner + "#billing", partner + "#billing"},
		"a partner's, by no client":      {&Claims{Issuer: partner, Subject: "billing", foreign: true}, partner + "#billing", "", ours},
	} {
		c.caller.Audience = []string{"api"}
		v := Voucher{Issuer: ours, ID: "1", Caller: c.caller, IssuedAt: now, Expires: now.Add(time.Minute)}
		payload, err := v.Payload()
		if err != nil {
			t.Fatal(err)
		}
		said, err := parseObject(payload)
		if err != nil {
			t.Fatal(err)
		}
		client, _ := said["client_id"].(string)
		if said["sub"] != c.sub || client != c.client || said["azp"] != c.azp {
			t.Errorf("%s: %s", name, payload)
		}
	}
}
