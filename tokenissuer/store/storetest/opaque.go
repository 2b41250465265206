package storetest

import (
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func anOpaque(id, family string) store.Opaque {
	o := store.Opaque{
		Hash: hash(id), ID: id, Client: "shop", Subject: "shop", Scopes: []string{"a:b", "c"},
		Audience: []string{"https://api.example.com/"}, Issued: now, Expires: now.Add(time.Hour),
	}
	if family != "" {
		o.Family, o.Account, o.Subject, o.Claims = family, "ann", "ann", `{"role":"admin"}`
	}
	return o
}

func opaqueOfFamily(f *fixture) {
	f.ann("f", "dead", "frozen")
	mine, machine := anOpaque("mine", "f"), anOpaque("machine", "")
	f.apply(now, store.PutOpaque{Opaque: mine}, store.PutOpaque{Opaque: machine})
	f.same("of a person", must(f.Opaque(f.Context(), hash("mine")))(f), mine)
	f.same("of a machine", must(f.Opaque(f.Context(), hash("machine")))(f), machine)
	absent(f.Opaque(f.Context(), hash("x")))(f, "an unknown token")
	if got := must(f.Token(f.Context(), "mine"))(f).Family; got != "f" {
		f.Errorf("its jti leads to the family %q", got)
	}
	absent(f.Token(f.Context(), "machine"))(f, "a machine's jti")

	f.conflict("the hash exists", now, store.PutOpaque{Opaque: machine})
	again := anOpaque("mine", "f")
	again.Hash = hash("again")
	f.conflict("the jti exists", now, store.PutOpaque{Opaque: again})
	f.apply(now, store.RevokeFamily{Family: "dead"})
	f.conflict("its family is dead", now, store.PutOpaque{Opaque: anOpaque("x", "dead")})
	f.conflict("there is no such family", now, store.PutOpaque{Opaque: anOpaque("x", "unknown")})
	homeless := anOpaque("x", "")
	homeless.Account = "ann"
	f.conflict("an account's token without a family could not be revoked with it", now, store.PutOpaque{Opaque: homeless})
	f.apply(now, store.SetState{Account: "ann", State: store.Frozen})
	f.conflict("its account is frozen", now, store.PutOpaque{Opaque: anOpaque("x", "frozen")})
	absent(f.Opaque(f.Context(), hash("x")))(f, "a token that was refused")

	f.apply(now, store.RevokeAccount{Account: "ann"}, store.RevokeToken{ID: "machine", Expires: machine.Expires})
	f.wantRevoked(now, "machine", "mine")
	f.same("the revoked token", must(f.Opaque(f.Context(), hash("mine")))(f), mine)
}

func deliveriesDue(f *fixture) {
	put := func(id string, next time.Time) store.Delivery {
		f.Helper()
		d := store.Delivery{
			ID: id, Client: "shop", URI: "https://shop.example.com/logout?a=b", Body: `{"sid":"s"}`,
			Next: next, Expires: now.Add(time.Hour),
		}
		f.apply(now, store.PutDelivery{Delivery: d})
		return d
	}
	later, first, soon := put("later", now.Add(time.Minute)), put("first", now.Add(-time.Second)), put("soon", now)
	due := func(at time.Time, most int, want ...store.Delivery) {
		f.Helper()
		f.same("due", must(f.DueDeliveries(f.Context(), at, most))(f), want)
	}
	f.conflict("the id exists", now, store.PutDelivery{Delivery: first})
	due(now, 10, first, soon)
	due(now, 1, first)
	due(now.Add(time.Minute), 10, first, soon, later)

	other := store.Delivery{ID: "other", Client: "spa", URI: "https://spa.example.com/", Body: "{}", Next: now.Add(time.Second), Expires: now.Add(time.Hour)}
	f.apply(now, store.PutDelivery{Delivery: other})
	due(now.Add(time.Minute), 1, first, other) // behind three of shop's
	f.apply(now, store.RemoveDelivery{ID: "other"})

	f.oneWinner(func(int) []store.Write {
		return []store.Write{store.RetryDelivery{ID: "first", Tries: 0, Next: now.Add(2 * time.Minute)}}
	})
	due(now, 10, soon)
	first.Tries, first.Next = 1, now.Add(2*time.Minute)
	due(now.Add(2*time.Minute), 10, soon, later, first)
	f.conflict("it is gone", now, store.RetryDelivery{ID: "x", Next: now})
	f.apply(now, store.RemoveDelivery{ID: "soon"}, store.RemoveDelivery{ID: "unknown"})
	f.conflict("it is gone", now, store.RetryDelivery{ID: "soon", Next: now})
	due(now.Add(2*time.Minute), 10, later, first)
	due(now.Add(time.Hour), 10) // they are of no use any more
}
