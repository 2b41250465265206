package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// telling is TellEnded with a message of its own for each client and session.
func telling(round any) store.Write {
	return store.TellEnded{Message: func(session, client string) (store.Delivery, bool) {
		id := fmt.Sprint(round, " ", session, " ", client)
		return store.Delivery{ID: id, Client: client, Next: now, Expires: now.Add(time.Hour)}, client != "deaf"
	}}
}

// told are the messages of a round, and forgets them.
func (f *fixture) told() (ids []string) {
	f.Helper()
	for _, d := range f.due(now, 1000) {
		ids = append(ids, d.ID)
		f.apply(now, store.RemoveDelivery{ID: d.ID})
	}
	slices.Sort(ids)
	return ids
}

// endedIsTold: the writes that end are made first, as by who looks and then
// writes; what begins before they are applied, in their very millisecond, is told
// with the rest.
func endedIsTold(f *fixture) {
	f.ann()
	begin := func(id, client, session string, expires time.Time) store.Write {
		return store.PutFamily{Family: store.Family{ID: id, Account: "ann", Client: client, Session: session, Created: now, Expires: expires}}
	}
	later := now.Add(time.Hour)
	for _, c := range []struct {
		claim string
		end   store.Write
		want  []string
	}{
		{"all of an account", store.RevokeAccount{Account: "ann"}, []string{
			"all of an account late app", "all of an account late shop", "all of an account s app", "all of an account s shop", "all of an account swept shop",
		}},
		{"one client of it", store.RevokeClientOf{Account: "ann", Client: "shop"}, []string{
			"one client of it late shop", "one client of it s shop", "one client of it swept shop",
		}},
	} {
		over := anns("over")
		over.Expires = now
		f.apply(now, store.PutSession{Session: anns("s")}, store.PutSession{Session: over},
			begin(c.claim+"1", "shop", "s", now.Add(time.Millisecond)), begin(c.claim+"2", "shop", "s", later), begin(c.claim+"3", "app", "s", later),
			begin(c.claim+"4", "shop", "swept", later), begin(c.claim+"5", "shop", "over", now), begin(c.claim+"6", "shop", "", later))
		f.apply(now, store.RevokeFamily{Family: c.claim + "3"}) // the session remembers its client
		ending := []store.Write{c.end, telling(c.claim)}
		f.apply(now, store.PutSession{Session: anns("late")}, begin(c.claim+"7", "shop", "late", later), begin(c.claim+"8", "app", "late", later), begin(c.claim+"9", "deaf", "late", later))
		f.apply(now, ending...)
		f.same(c.claim, f.told(), c.want)
		f.apply(now, ending...)
		f.same(c.claim+", once more", f.told(), []string(nil))
	}
}

// endingRacesSignIn: of fifty that begin while all of an account is ended, those
// are told that were ended, and those alone.
func endingRacesSignIn(f *fixture) {
	f.ann()
	for round := range 5 {
		f.apply(now, store.PutSession{Session: anns(fmt.Sprint("s", round))})
		id := func(i int) string { return fmt.Sprint(round, " s", round, " client", i) }
		f.race(func(i int) []store.Write {
			if i == rivals/2 {
				return []store.Write{store.RevokeAccount{Account: "ann"}, telling(round)}
			}
			return []store.Write{store.PutFamily{Family: store.Family{
				ID: id(i), Account: "ann", Client: fmt.Sprint("client", i), Session: fmt.Sprint("s", round), Created: now, Expires: now.Add(time.Hour),
			}}}
		})
		told := f.told()
		for i := range rivals {
			if i == rivals/2 {
				continue
			}
			if ended := !must(f.Family(f.Context(), id(i)))(f).Revoked.IsZero(); ended != slices.Contains(told, id(i)) {
				f.Errorf("round %d, client %d: ended %v, told %v", round, i, ended, !ended)
			}
		}
	}
}
