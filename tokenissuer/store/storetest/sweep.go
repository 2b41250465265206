package storetest

import (
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// everything puts one record of each kind that can expire, for an hour.
func (f *fixture) everything() {
	f.Helper()
	f.ann("f")
	hour := now.Add(time.Hour)
	f.apply(now, putToken("t", "f", hour),
		store.RevokeToken{ID: "m2m", Expires: hour},
		store.RefuseClient{Client: "gone", Longest: time.Hour},
		store.PutCode{Code: store.Code{Hash: hash("c"), Account: "ann", Expires: hour}},
		store.PutCode{Code: store.Code{Hash: hash("unused"), Account: "ann", Expires: hour}},
		store.PutCode{Code: store.Code{Hash: hash("burnt"), Account: "ann", Expires: hour}},
		store.SpendCode{Hash: hash("c"), Family: "f"},
		store.BurnCode{Hash: hash("burnt")},
		store.PutSession{Session: store.Session{Hash: hash("s"), ID: "s", Account: "ann", Expires: hour}},
		store.PutOneTimeCode{Code: store.OneTimeCode{Hash: hash("o"), Sent: true, CodeExpires: hour, Expires: hour}},
		store.TakeQuota{Key: hash("q"), Most: 5, Window: time.Hour},
		store.PutConsent{Account: "ann", Client: "shop", Scopes: []string{"openid"}},
		store.PutOpaque{Opaque: anOpaque("opaque", "f")},
		store.PutOpaque{Opaque: anOpaque("machine", "")},
		store.PutDelivery{Delivery: store.Delivery{ID: "d", Next: now, Expires: hour}},
		store.SetPassword{Account: "ann", Old: "*", New: "1", Remember: 2},
		store.SetPassword{Account: "ann", Old: "1", New: "2", Remember: 2},
		store.PutAttempt{Key: hash("a"), Most: 5, Window: time.Hour, Lock: time.Hour},
		store.PutKnownAddress{Account: "ann", Address: hash("home")},
		store.PutEvent{Event: store.Event{At: now, Action: "x"}},
		store.PutKey{Key: store.Key{ID: "k", Material: []byte{1}, Expires: hour}},
		store.PutClient{Client: store.Client{ID: "shop", Record: []byte("{}")}})
}

// sweptInAnHour of them: two tokens, two revocations, the codes that began no
// sign-in, session, one-time code, quota, two opaque tokens, delivery, attempt. The
// sign-in stays ten minutes for what it gave last, and the code that began it another
// hour, for its second use.
const sweptInAnHour = 13

func (f *fixture) swept(at time.Time, want int) {
	f.Helper()
	if n := must(f.Sweep(f.Context(), at, 1000))(f); n != want {
		f.Errorf("at %v: swept %d rows, want %d", at.Sub(now), n, want)
	}
}

func sweepRemoves(f *fixture) {
	f.everything()
	f.swept(now.Add(time.Hour-time.Millisecond), 0)
	f.swept(now.Add(time.Hour), sweptInAnHour)
	f.swept(now.Add(70*time.Minute-time.Millisecond), 0)
	f.swept(now.Add(70*time.Minute), 2)
	absent(f.Family(f.Context(), "f"))(f, "the family")
	absent(f.Refresh(f.Context(), hash("f", 0)))(f, "the refresh token")
	absent(f.Session(f.Context(), hash("s")))(f, "the session")
	must(f.Code(f.Context(), hash("c")))(f)
	absent(f.Code(f.Context(), hash("unused")))(f, "the code that nobody came with")
	absent(f.Code(f.Context(), hash("burnt")))(f, "the burnt code")
	f.swept(now.Add(2*time.Hour), 1)
	f.swept(now.Add(90*24*time.Hour), 1)  // the address
	f.swept(now.Add(400*24*time.Hour), 1) // the event
	f.swept(now.Add(10000*24*time.Hour), 0)
	must(f.Account(f.Context(), "ann"))(f)
	must(f.Client(f.Context(), "shop"))(f)
	must(f.Consent(f.Context(), "ann", "shop"))(f)
	if n := len(must(f.PasswordHistory(f.Context(), "ann", 10))(f)); n != 1 {
		f.Error("a password is forgotten")
	}
	if n := len(must(f.Keys(f.Context()))(f)); n != 1 {
		f.Error("a key is swept: only its owner knows when nothing needs it")
	}
}

// sweepStops also has more rows than one transaction removes, and a token that
// outlives its family.
func sweepStops(f *fixture) {
	f.ann("f", "g")
	f.apply(now, putToken("long", "f", now.Add(2*time.Hour)))
	for batch := range 4 {
		var writes []store.Write
		for i := range 300 {
			writes = append(writes, putToken(fmt.Sprint(batch, "/", i), []string{"f", "g"}[batch%2], now.Add(time.Minute)))
		}
		f.apply(now, writes...)
	}
	at := now.Add(70 * time.Minute)
	for _, want := range []int{700, 503, 0} { // 1,200 tokens, a family with its refresh token, and one that has to stay
		if n := must(f.Sweep(f.Context(), at, 700))(f); n != want {
			f.Errorf("swept %d rows, want %d", n, want)
		}
	}
	must(f.Family(f.Context(), "f"))(f)
	must(f.Token(f.Context(), "long"))(f)
	f.swept(now.Add(2*time.Hour), 3) // the token, and now the family
}
