package storetest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func (f *fixture) same(what string, got, want any) {
	f.Helper()
	if !reflect.DeepEqual(got, want) {
		f.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func recordsComeBack(f *fixture) {
	f.ann()
	family := store.Family{
		ID: "f", Account: "ann", Client: "shop", Source: "staff", AMR: []string{"pwd", "otp"}, Scopes: []string{"openid", "a:b"},
		AuthTime: now.Add(-time.Minute), Created: now, Expires: now.Add(time.Hour),
		Session: "s", Claims: `{"userinfo":{"email":null}}`,
	}
	refresh := store.Refresh{Hash: hash("r"), Family: "f", N: 7}
	token := store.Token{ID: "t", Family: "f", Expires: now.Add(time.Minute)}
	code := store.Code{
		Hash: hash("c"), Client: "shop", Account: "ann", Source: "staff", RedirectURI: "https://shop.example.com/?a=b c",
		Scopes: []string{"openid"}, AMR: []string{"pwd"}, Nonce: "n", Challenge: "ch",
		Session: "s", Claims: `{"id_token":{"acr":null}}`, ACR: "urn:example:2", AuthTime: now, Expires: now.Add(time.Minute),
	}
	session := anns("s")
	sent := store.OneTimeCode{
		Hash: hash("o"), Sent: true, CodeHash: hash("123456"), Client: "shop", Source: "sms", Usage: "login", Kind: store.ByPhone,
		Destination: "+8613800000000", Failures: 1, CodeExpires: now.Add(time.Minute), Expires: now.Add(2 * time.Minute),
	}
	f.apply(now, store.PutFamily{Family: family}, store.PutRefresh{Refresh: refresh}, store.PutToken{Token: token},
		store.PutSession{Session: session}, store.PutCode{Code: code}, store.PutOneTimeCode{Code: sent})

	ctx := f.Context()
	f.same("family", must(f.Family(ctx, "f"))(f), family)
	f.same("families", must(f.FamiliesOf(ctx, now, "ann"))(f), []store.Family{family})
	f.same("refresh token", must(f.Refresh(ctx, hash("r")))(f), refresh)
	f.same("token", must(f.Token(ctx, "t"))(f), token)
	f.same("code", must(f.Code(ctx, hash("c")))(f), code)
	f.same("session", must(f.Session(ctx, hash("s")))(f), session)
	f.same("one-time code", must(f.OneTimeCode(ctx, hash("o")))(f), sent)
	gotRefresh, gotFamily, err := f.FamilyOfRefresh(ctx, hash("r"))
	f.same("refresh token with its family", []any{gotRefresh, gotFamily, err}, []any{refresh, family, error(nil)})
	gotToken, gotFamily, err := f.FamilyOf(ctx, "t")
	f.same("token with its family", []any{gotToken, gotFamily, err}, []any{token, family, error(nil)})

	absent(f.Family(ctx, "x"))(f, "family")
	absent(f.Refresh(ctx, hash("x")))(f, "refresh token")
	absent(f.Token(ctx, "x"))(f, "token")
	absent(f.Code(ctx, hash("x")))(f, "code")
	absent(f.Session(ctx, hash("x")))(f, "session")
	absent(f.OneTimeCode(ctx, hash("x")))(f, "one-time code")
	absent(f.Client(ctx, "x"))(f, "client")

	f.conflict("the hash exists", now, store.PutRefresh{Refresh: store.Refresh{Hash: hash("r"), Family: "f", N: 8}})
	f.conflict("the position is taken", now, store.PutRefresh{Refresh: store.Refresh{Hash: hash("r2"), Family: "f", N: 7}})
	f.conflict("the jti exists", now, store.PutToken{Token: token})
	f.conflict("the session exists", now, store.PutSession{Session: session})
	f.conflict("the one-time code exists", now, store.PutOneTimeCode{Code: sent})
}

func keysComeAndGo(f *fixture) {
	one := store.Key{ID: "z1", Use: "sig", Algorithm: "RS256", Material: []byte{0, 1, 0xff}, Created: now, SignFrom: now.Add(time.Hour)}
	two := store.Key{ID: "a2", Use: "derive", Material: []byte("sealed"), Sealed: true, Created: now}
	f.apply(now, store.PutKey{Key: one}, store.PutKey{Key: two})
	f.same("keys", must(f.Keys(f.Context()))(f), []store.Key{one, two})
	f.conflict("the id exists", now, store.PutKey{Key: one})
	one.Material, one.Sealed = []byte("sealed, and longer"), true
	f.apply(now, store.SealKey{ID: "z1", Material: one.Material})
	f.same("the sealed key", must(f.Keys(f.Context()))(f)[0], one)
	f.conflict("it is sealed", now, store.SealKey{ID: "z1", Material: []byte("x")})
	f.conflict("there is no such key", now, store.SealKey{ID: "x", Material: []byte("x")})
	f.conflict("it signs still", now, store.RemoveKey{ID: "z1"})
	f.apply(now, store.RetireKey{ID: "z1", Expires: now.Add(time.Hour)})
	f.conflict("it is retired", now, store.RetireKey{ID: "z1", Expires: now.Add(2 * time.Hour)})
	f.conflict("there is no such key", now, store.RetireKey{ID: "x", Expires: now})
	one.Retired, one.Expires = now, now.Add(time.Hour)
	f.same("the retired key", must(f.Keys(f.Context()))(f)[0], one)
	f.conflict("a token of it may be good", now.Add(time.Hour-time.Millisecond), store.RemoveKey{ID: "z1"})
	f.apply(now.Add(time.Hour), store.RemoveKey{ID: "z1"})
	f.same("keys", must(f.Keys(f.Context()))(f), []store.Key{two})
}

func clientGeneration(f *fixture) {
	put := func(at time.Time, record string) store.Client {
		f.Helper()
		f.apply(at, store.PutClient{Client: store.Client{ID: "shop", Record: []byte(record)}})
		c := must(f.Client(f.Context(), "shop"))(f)
		f.same("record", []any{string(c.Record), c.Updated}, []any{record, at})
		return c
	}
	first := put(now, `{"a":1}`)
	if second := put(now, `{"a":2}`); second.Generation != first.Generation+1 {
		f.Errorf("generation %d after %d", second.Generation, first.Generation)
	}
	f.apply(now, store.RemoveClient{ID: "shop"})
	f.conflict("it is gone", now, store.RemoveClient{ID: "shop"})
	if again := put(now.Add(time.Second), `{}`); again.Generation <= first.Generation+1 {
		f.Errorf("the generation of a client that came back is %d, the old one had %d", again.Generation, first.Generation+1)
	}
	f.apply(now, store.PutClient{Client: store.Client{ID: "app", Record: []byte(`{}`)}})
	clients := must(f.Clients(f.Context(), "", 10))(f)
	if len(clients) != 2 || clients[0].ID != "app" || clients[1].ID != "shop" {
		f.Errorf("clients %+v", clients)
	}
	if page := must(f.Clients(f.Context(), "app", 1))(f); len(page) != 1 || page[0].ID != "shop" {
		f.Errorf("the second page is %+v", page)
	}
}

func eventsNewestFirst(f *fixture) {
	var want []store.Event
	for i := range 5 {
		e := store.Event{
			At: now.Add(time.Duration(i/2) * time.Second), Actor: "operator", Action: "account.freeze",
			Subject: fmt.Sprint(i), Detail: "why",
		}
		f.apply(now, store.PutEvent{Event: e})
		want = append([]store.Event{e}, want...)
	}
	f.same("all", must(f.Events(f.Context(), time.Time{}, 10))(f), want)
	f.same("two", must(f.Events(f.Context(), time.Time{}, 2))(f), want[:2])
	f.same("the last second", must(f.Events(f.Context(), now.Add(2*time.Second), 10))(f), want[:1])
}
