package storetest

import (
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// due are the deliveries of all clients that are due, up to most of each; who has
// waited longest first.
func (f *fixture) due(at time.Time, most int) (all []store.Delivery) {
	f.Helper()
	for _, c := range must(f.DueClients(f.Context(), at))(f) {
		all = append(all, must(f.DueDeliveries(f.Context(), at, c.Client, most))(f)...)
	}
	return all
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
		f.same("due", f.due(at, most), want)
	}
	f.conflict("the id exists", now, store.PutDelivery{Delivery: first})
	due(now, 10, first, soon)
	due(now, 1, first)
	due(now.Add(time.Minute), 10, first, soon, later)

	other := store.Delivery{ID: "other", Client: "spa", URI: "https://spa.example.com/", Body: "{}", Next: now.Add(time.Second), Expires: now.Add(time.Hour)}
	f.apply(now, store.PutDelivery{Delivery: other})
	due(now.Add(time.Minute), 1, first, other) // behind three of shop's
	due(now.Add(time.Minute), 2, first, soon, other)
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

// silentClientRests, with all that is due for it and whatever comes, until its time is
// over; others go on and come first, and of many that try it again one does.
func silentClientRests(f *fixture) {
	put := func(client string, n int) {
		f.Helper()
		f.apply(now, store.PutDelivery{Delivery: store.Delivery{ID: fmt.Sprint(client, n), Client: client, Next: now.Add(-time.Hour), Expires: now.Add(time.Hour)}})
	}
	due := func(at time.Time, want ...store.DueClient) {
		f.Helper()
		f.same("due", must(f.DueClients(f.Context(), at))(f), want)
	}
	due(now)
	for n := range 30 {
		put("dead", n)
	}
	put("well", 0)
	due(now, store.DueClient{Client: "dead"}, store.DueClient{Client: "well"})
	until := now.Add(5 * time.Second)
	f.oneWinner(func(int) []store.Write { return []store.Write{store.RestClient{Client: "dead", Until: until}} })
	put("dead", 30)
	due(until.Add(-time.Millisecond), store.DueClient{Client: "well"})
	due(until, store.DueClient{Client: "well"}, store.DueClient{Client: "dead", Failures: 1})
	f.conflict("it has failed before", until, store.RestClient{Client: "dead", Until: until})

	again := until.Add(time.Minute)
	f.oneWinner(func(int) []store.Write {
		return []store.Write{store.RestClient{Client: "dead", Failures: 1, Until: again}}
	})
	due(until, store.DueClient{Client: "well"})
	due(again, store.DueClient{Client: "well"}, store.DueClient{Client: "dead", Failures: 2})

	put("away", 0) // it rests for less long, and so it comes first: all have their turn
	f.apply(now, store.RestClient{Client: "away", Until: until})
	due(again, store.DueClient{Client: "well"}, store.DueClient{Client: "away", Failures: 1}, store.DueClient{Client: "dead", Failures: 2})
	f.apply(now, store.RemoveDelivery{ID: "away0"}, store.HearClient{Client: "away"})
	f.same("due for who is back", len(must(f.DueDeliveries(f.Context(), again, "dead", 20))(f)), 20)

	f.apply(again, store.HearClient{Client: "dead"}, store.HearClient{Client: "unknown"})
	f.conflict("it has heard", again, store.RestClient{Client: "dead", Failures: 2, Until: again.Add(time.Minute)})
	due(now, store.DueClient{Client: "dead"}, store.DueClient{Client: "well"})

	f.apply(now, store.RestClient{Client: "dead", Until: again})
	due(now.Add(time.Hour)) // they are of no use any more
	f.swept(now.Add(time.Hour), 32)
	f.swept(again.Add(24*time.Hour-time.Millisecond), 0)
	f.swept(again.Add(24*time.Hour), 1)
}
