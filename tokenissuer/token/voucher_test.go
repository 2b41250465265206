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
		"without a client":   {Issuer: "https://partner.example", Subject: "ann", Audience: []string{"a", "b"}},
		"of hostile content": {Issuer: "https://partner.example", Subject: "ann", Audience: []string{"shop"}, All: map[string]any{"azp": "", "scope": nil, "typ": "at+jwt", "iss": "x"}},
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
		if _, err := ReadHint(raw, keys); !errors.Is(err, ErrType) {
			t.Errorf("%s: as an ID token: %v", name, err)
		}
	}
}

func TestVoucherRepeatsWhatTheCallersTokenSays(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	caller := &Claims{
		Issuer: "https://partner.example", Subject: "ann", ClientID: "app", Audience: []string{"a", "b"}, Scopes: []string{"r", "w"},
		All: map[string]any{"iss": "https://partner.example", "sub": "ann", "exp": 1, "nonce": "n", "groups": []any{"eu", "<b>"}, "auth_time": 7},
	}
	v := Voucher{Issuer: "https://auth.example.com", ID: "1", Caller: caller, IssuedAt: now, Expires: now.Add(time.Minute)}
	payload, err := v.Payload()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"sub":"ann","subject_issuer":"https://partner.example","aud":["a","b"],"azp":"app","client_id":"app","scope":"r w",` +
		`"iss":"https://auth.example.com","exp":1800000060,"iat":1800000000,"jti":"1","auth_time":7,"groups":["eu","<b>"]}`
	if string(payload) != want {
		t.Errorf("got  %s\nwant %s", payload, want)
	}
}
