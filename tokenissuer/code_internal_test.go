package tokenissuer

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/grant"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// TestCodeIsGoodForItsLifetime is D15: five minutes, and not a millisecond more.
// Neither time nor another's hands bring back a code that was used.
func TestCodeIsGoodForItsLifetime(t *testing.T) {
	i := developing(t, Config{})
	u, err := i.AddUser(t.Context(), NewUser{Email: "ann@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	const callback = "https://shop.example.com/callback"
	codes := &grant.Code{Store: i.state.store, Lifetime: time.Hour}
	shop, _ := i.client("shop")
	rival := *shop
	rival.ID = "rival"
	put := func(code string) {
		t.Helper()
		err := i.state.store.Apply(t.Context(), noon, store.PutCode{Code: store.Code{
			Hash: grant.HashOf(code), Client: "shop", Account: u.ID, RedirectURI: callback, Scopes: []string{"openid"}, Expires: noon.Add(5 * time.Minute),
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	redeem := func(at time.Duration, code string, as string) oauth.Reason {
		t.Helper()
		form, err := oauth.ParseQuery("grant_type=authorization_code&code=" + code + "&redirect_uri=" + callback)
		if err != nil {
			t.Fatal(err)
		}
		r := grant.Request{Client: shop, Now: noon.Add(at), Form: form}
		if as == "rival" {
			r.Client = &rival
		}
		a, err := codes.Grant(t.Context(), r)
		if refused, ok := errors.AsType[*grant.Refused](err); ok {
			if err := i.state.store.Apply(t.Context(), r.Now, refused.Writes...); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			return oauth.AsError(err).Reason
		}
		if err := i.state.store.Apply(t.Context(), r.Now, append(a.Writes, store.PutFamily{Family: *a.Family})...); err != nil {
			t.Fatal(err)
		}
		return ""
	}
	for _, code := range []string{"early", "late", "burnt"} {
		put(code)
	}
	last := 5*time.Minute - time.Millisecond
	for _, c := range []struct {
		name string
		at   time.Duration
		code string
		as   string
		want oauth.Reason
	}{
		{"in its last millisecond", last, "early", "shop", ""},
		{"one later", last + time.Millisecond, "late", "shop", oauth.ExpiredCode},
		{"one later, by another client", last + time.Millisecond, "late", "rival", oauth.ForeignCode},
		{"used, and expired since", 30 * time.Minute, "early", "shop", oauth.SpentCode},
		{"shown by another client", time.Second, "burnt", "rival", oauth.ForeignCode},
		{"and then by its own", time.Second, "burnt", "shop", oauth.SpentCode},
		{"of nobody", 0, "x", "shop", oauth.UnknownCode},
	} {
		if got := redeem(c.at, c.code, c.as); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if families, err := i.state.store.FamiliesOf(t.Context(), noon.Add(last), u.ID); err != nil || len(families) != 0 {
		t.Errorf("what the used code began goes on: %+v, %v", families, err)
	}
}
