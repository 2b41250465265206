package storetest

import (
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func fiftyTakeQuota(f *fixture) {
	const most = 7
	taken := f.race(func(int) []store.Write {
		return []store.Write{store.TakeQuota{Key: hash("q"), Most: most, Window: time.Minute}}
	})
	if len(taken) != most {
		f.Errorf("%d took of %d", len(taken), most)
	}
	f.same("the quota", must(f.Quota(f.Context(), now, hash("q")))(f), store.Quota{Taken: most, Ends: now.Add(time.Minute)})
}

func quotaWindow(f *fixture) {
	take := store.TakeQuota{Key: hash("q"), Most: 2, Window: time.Minute}
	check := func(at time.Time, want store.Quota) {
		f.Helper()
		f.same(fmt.Sprint("the quota at ", at.Sub(now)), must(f.Quota(f.Context(), at, take.Key))(f), want)
	}
	check(now, store.Quota{})
	f.conflict("nothing is allowed", now, store.TakeQuota{Key: take.Key, Most: 0, Window: time.Minute})
	check(now, store.Quota{})
	f.apply(now, take)
	last := now.Add(time.Minute - time.Millisecond)
	f.apply(last, take)
	f.conflict("it is used up", last, take)
	check(last, store.Quota{Taken: 2, Ends: now.Add(time.Minute)})
	f.apply(last, store.TakeQuota{Key: take.Key, Most: 3, Window: time.Hour}) // another configuration: more, in this window
	check(last, store.Quota{Taken: 3, Ends: now.Add(time.Minute)})

	next := now.Add(time.Minute)
	check(next, store.Quota{})
	f.apply(next, take)
	check(next, store.Quota{Taken: 1, Ends: next.Add(time.Minute)})
}

func quotaReturned(f *fixture) {
	take := store.TakeQuota{Key: hash("q"), Most: 2, Window: time.Minute}
	back := store.ReturnQuota{Key: take.Key}
	f.apply(now, back) // nothing was taken
	f.apply(now, take, take)
	f.conflict("it is used up", now, take)
	later := now.Add(time.Second)
	f.apply(later, back)
	f.same("the quota", must(f.Quota(f.Context(), later, take.Key))(f), store.Quota{Taken: 1, Ends: now.Add(time.Minute)})
	f.apply(later, back)
	f.same("the quota", must(f.Quota(f.Context(), later, take.Key))(f), store.Quota{})
	f.apply(later, take)
	f.same("the quota", must(f.Quota(f.Context(), later, take.Key))(f), store.Quota{Taken: 1, Ends: later.Add(time.Minute)})
}

// quotasTogether: what one quota refuses costs none of the others.
func quotasTogether(f *fixture) {
	number := store.TakeQuota{Key: hash("number"), Most: 1, Window: 30 * time.Second}
	client := store.TakeQuota{Key: hash("client"), Most: 1000, Window: time.Hour}
	sent := store.PutOneTimeCode{Code: store.OneTimeCode{Hash: hash("o"), Sent: true, CodeExpires: now.Add(time.Minute), Expires: now.Add(time.Minute)}}
	f.apply(now, client, number, sent)
	sent.Code.Hash = hash("o2")
	f.conflict("the number had its message", now, client, number, sent)
	if got := must(f.Quota(f.Context(), now, client.Key))(f).Taken; got != 1 {
		f.Errorf("%d messages of the client counted, want 1", got)
	}
	absent(f.OneTimeCode(f.Context(), hash("o2")))(f, "the code that was not sent")
}

func wrongTriesRefuseTheRight(f *fixture) {
	for i := range 3 {
		f.apply(now, store.PutOneTimeCode{Code: store.OneTimeCode{
			Hash: hash("o", i), Sent: true,
			CodeExpires: now.Add(2 * time.Hour), Expires: now.Add(2 * time.Hour),
		}})
	}
	wrong := store.TakeQuota{Key: hash("+1"), Most: 4, Window: time.Hour}
	open := store.RequireQuota{Key: wrong.Key, Most: wrong.Most}
	for i := range 4 {
		f.apply(now, open)
		f.apply(now, store.FailOneTimeCode{Hash: hash("o", i/2), Most: 5}, wrong)
	}
	f.conflict("a fifth wrong one", now, store.FailOneTimeCode{Hash: hash("o", 2), Most: 5}, wrong)
	f.conflict("the right one, with a new code", now, store.SpendOneTimeCode{Hash: hash("o", 2), Most: 5}, open)
	if got := must(f.Quota(f.Context(), now, wrong.Key))(f).Taken; got != 4 {
		f.Errorf("%d wrong tries counted, want 4", got)
	}
	f.apply(now.Add(time.Hour), store.SpendOneTimeCode{Hash: hash("o", 2), Most: 5}, open)
}

func unsentCodeIsNoCode(f *fixture) {
	code := store.OneTimeCode{Hash: hash("decoy"), CodeExpires: now.Add(time.Minute), Expires: now.Add(time.Minute)}
	sent := code
	sent.Hash, sent.Sent = hash("sent"), true
	f.apply(now, store.PutOneTimeCode{Code: code}, store.PutOneTimeCode{Code: sent})
	f.conflict("it was never sent", now, store.SpendOneTimeCode{Hash: hash("decoy"), Most: 5})
	f.apply(now, store.FailOneTimeCode{Hash: hash("decoy"), Most: 5}) // its tries are counted as another's
	f.apply(now, store.RemoveOneTimeCode{Hash: hash("sent")}, store.RemoveOneTimeCode{Hash: hash("unknown")})
	absent(f.OneTimeCode(f.Context(), hash("sent")))(f, "the code that could not be sent")
	f.conflict("it is gone", now, store.SpendOneTimeCode{Hash: hash("sent"), Most: 5})
}
