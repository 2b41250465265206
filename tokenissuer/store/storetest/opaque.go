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
