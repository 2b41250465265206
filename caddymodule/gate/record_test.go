package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// signed makes verified claims, their token and the key.
func signed(t *testing.T, key *token.Key, payload string) (string, *token.Claims, token.Public) {
	t.Helper()
	raw, err := key.Sign(token.TypeAccess, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := token.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	claims, public, err := sealed.Open(token.NewRing([]*token.Key{key}), true)
	if err != nil {
		t.Fatal(err)
	}
	return raw, claims, public
}

func newKey(t *testing.T) *token.Key {
	t.Helper()
	key, err := token.Generate(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const usual = `{"iss":"https://a","sub":"ann","aud":%s,"scope":%s,"exp":1800000600,"iat":1800000000,"nbf":1799999999,"jti":"j-1","client_id":"shop"%s}`

func TestRememberedClaimsSayWhatTheTokenSays(t *testing.T) {
	key := newKey(t)
	for name, payload := range map[string]string{
		"usual":             fmt.Sprintf(usual, `"shop"`, `["openid","orders:read"]`, ""),
		"scope as text":     fmt.Sprintf(usual, `["shop","b"]`, `"openid  orders:read"`, ""),
		"more claims":       fmt.Sprintf(usual, `"shop"`, `[]`, `,"email":"a@b","groups":["x","y z"],"n":1.50,"deep":{"a":[null,true]},"auth_time":1799999000`),
		"subject in pieces": strings.Replace(fmt.Sprintf(usual, `"shop"`, `"a"`, ""), `"sub":"ann","`, `"sub":"ann`+"\u00e9"+`","azp":"other","`, 1),
		"no times":          `{"iss":"https://a","sub":"ann","aud":"shop","scope":"a","exp":1800000600}`,
		"a line break":      strings.Replace(fmt.Sprintf(usual, `"shop"`, `"a"`, ""), `"client_id":"shop"`, `"client_id":"sh\nop"`, 1),
	} {
		raw, claims, public := signed(t, key, payload)
		var every map[string]any // of claims nobody has asked for all yet
		if err := json.Unmarshal([]byte(payload), &every); err != nil {
			t.Fatal(err)
		}
		var all kinds
		e := newEntry(token.Sum(raw), claims, &public, nil)
		e.keep(&all, len(raw), needs{})
		again := e.record.entry(raw)
		if kept := e.record.kind == nil; kept != strings.Contains(payload, `\n`) {
			t.Errorf("%s: kept whole: %v", name, kept)
		}
		for _, claim := range append(slices.Collect(maps.Keys(every)), "absent", "client_id", "jti") {
			if got, want := again.claims.Text(claim), claims.Text(claim); got != want {
				t.Errorf("%s: text of %s: %q, want %q", name, claim, got, want)
			}
			if got, want := Text(again.claims, claim), Text(claims, claim); got != want {
				t.Errorf("%s: header text of %s: %q, want %q", name, claim, got, want)
			}
		}
		for claim := range every {
			if got, want := e.record.entry(raw).claims.Value(claim), claims.Value(claim); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s: %v, want %v", name, claim, got, want)
			}
		}
		var a, b [4]string
		if got, want := again.values(defaultSet, &a), newEntry(token.Digest{}, claims, &public, nil).values(defaultSet, &b); !slices.Equal(got, want) {
			t.Errorf("%s: headers %q, want %q", name, got, want)
		}
		for _, now := range []int64{1799999998, 1799999999, 1800000000, 1800000599, 1800000600} {
			want := token.Want{Issuer: "https://a", Audiences: []string{"shop"}, Foreign: true}
			if got, wanted := again.claims.Check(want, time.Unix(now, 0)), claims.Check(want, time.Unix(now, 0)); !errors.Is(got, wanted) || !errors.Is(wanted, got) {
				t.Errorf("%s: at %d: %v, want %v", name, now, got, wanted)
			}
		}
	}
}

func TestTokensOfAKindShareItAndLeaveNothing(t *testing.T) {
	key, all := newKey(t), kinds{}
	payload := fmt.Sprintf(usual, `"shop"`, `"a b"`, "")
	other := map[string]string{
		"audience": strings.Replace(payload, `"aud":"shop"`, `"aud":["shop","x"]`, 1),
		"scope":    strings.Replace(payload, `"a b"`, `["a b"]`, 1), // one scope with a space in it
		"client":   strings.Replace(payload, `"client_id":"shop"`, `"client_id":"shop2"`, 1),
		"issuer":   strings.Replace(payload, `https://a`, `https://a2`, 1),
	}
	_, claims, public := signed(t, key, payload)
	first := all.of(claims, public)
	if _, same, public := signed(t, key, strings.Replace(payload, "ann", "ben", 1)); all.of(same, public) != first {
		t.Error("two subjects of one kind have two kinds")
	}
	for name, p := range other {
		if _, c, public := signed(t, key, p); all.of(c, public) == first {
			t.Errorf("another %s is the same kind", name)
		}
	}
	impostor := public
	impostor.Key = newKey(t).Public().Key
	if all.of(claims, impostor) == first {
		t.Error("another key of the same id is the same kind")
	}
	runtime.KeepAlive(first)
	for range 100 {
		runtime.GC()
		all.mu.Lock()
		left := len(all.all)
		all.mu.Unlock()
		if left == 0 {
			return
		}
		runtime.Gosched()
	}
	t.Error("kinds of tokens that nobody has any more are kept")
}
