package gate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// slowStore knows one opaque token, and takes a while to say so.
type slowStore struct {
	good        token.Digest
	takes       time.Duration
	asked, most atomic.Int32 // at a time
	times       atomic.Int32
}

func (s *slowStore) Opaque(ctx context.Context, digest token.Digest) (*token.Claims, error) {
	s.times.Add(1)
	now := s.asked.Add(1)
	defer s.asked.Add(-1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
	}
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if digest != s.good {
		return nil, token.ErrUnknown
	}
	return &token.Claims{
		Issuer: "https://auth.example.com", Subject: "alice", ClientID: "shop", ID: "good", Expires: 1_900_000_000, All: map[string]any{"sub": "alice"},
	}, nil
}

// Opaque tokens that strangers make up are asked about at the store where people sign in:
// a few at a time, and those of one address beside the others' and not before them.
func TestFloodOfOpaqueTokensLeavesTheStoreToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlooded(t)
		good := uuid.NewString()
		store := &slowStore{good: token.Sum(good), takes: 20 * time.Millisecond}
		f.gate.opaque = store
		check := func(raw, from string) int {
			r := httptest.NewRequest(http.MethodGet, "https://app.example.com/", nil)
			r.RemoteAddr = from + ":1"
			r.Header.Set("Authorization", "Bearer "+raw)
			_, err := f.gate.Check(r, f.now)
			if refusal, ok := errors.AsType[*Refusal](err); ok {
				if refusal.Status == http.StatusServiceUnavailable && refusal.Reason != oauth.Overloaded {
					t.Errorf("put off, and the log says %s", refusal.Reason)
				}
				return refusal.Status
			}
			return http.StatusOK
		}

		var unknown, busy, others atomic.Int32
		var wg sync.WaitGroup
		for range 2000 {
			wg.Go(func() {
				switch status := check(uuid.NewString(), "192.0.2.1"); status {
				case http.StatusUnauthorized:
					unknown.Add(1)
				case http.StatusServiceUnavailable:
					busy.Add(1)
				default:
					others.Add(1)
				}
			})
		}
		for end := time.Now().Add(time.Minute); store.times.Load() < 60; time.Sleep(time.Millisecond) { // the flood is on
			if time.Now().After(end) {
				t.Fatal("nobody is looked up")
			}
		}
		if status := check(good, "198.51.100.7"); status != http.StatusOK { // behind the others it would be put off, too
			t.Errorf("somebody else's good token: %d", status)
		}
		wg.Wait()
		if most := store.most.Load(); most > int32(turns[remote.New]+turns[remote.Owing]) {
			t.Errorf("%d look-ups at a time", most)
		}
		if unknown.Load() < 60 || busy.Load() == 0 || others.Load() != 0 {
			t.Errorf("%d unknown, %d put off, %d others", unknown.Load(), busy.Load(), others.Load())
		}
		if status := check(uuid.NewString(), "192.0.2.1"); status != http.StatusUnauthorized {
			t.Errorf("the same address, when nobody else waits: %d", status)
		}
	})
}

// then is when everything happens: no debt is forgiven meanwhile.
var then = time.Unix(1_800_000_000, 0)

// finder is a store.
type finder func() (*token.Claims, error)

func (f *finder) Opaque(context.Context, token.Digest) (*token.Claims, error) { return (*f)() }

// asking is a question of an address about a token of its own, and its answer.
type asking struct {
	of      *finder
	from    netip.Addr
	digest  token.Digest
	verdict error // on a token that is found
}

func finds(from netip.Addr, find finder, verdict error) asking {
	return asking{&find, from, token.Sum(uuid.NewString()), verdict}
}

// show asks as a gate does.
func (l *lookups) show(ctx context.Context, a asking) error {
	_, charged, err := l.look(ctx, a.of, a.from, a.digest, then)
	if err != nil {
		l.settle(charged, err, a.from, then)
		return err
	}
	l.settle(charged, a.verdict, a.from, then)
	return nil
}

func found() (*token.Claims, error)   { return new(token.Claims), nil }
func unknown() (*token.Claims, error) { return nil, token.ErrUnknown }
func away() (*token.Claims, error)    { return nil, errors.New("the store is away") }

// standing is what an address would be next.
func (l *lookups) standing(from netip.Addr) remote.Standing {
	standing := l.debts.Charge(from, then)
	if standing != remote.Owing {
		l.debts.GiveBack(from)
	}
	return standing
}

// Tokens that are good, and those of which nobody can say that they are not, use nothing
// up, also all at once. Those in the store that open nothing here are as made-up ones.
func TestOnlyTokensThatAreNoGoodAreOwed(t *testing.T) {
	for name, c := range map[string]struct {
		find    func() (*token.Claims, error)
		verdict error
		want    remote.Standing
	}{
		"good":             {found, nil, remote.Known},
		"store away":       {away, nil, remote.New},
		"other nodes away": {found, errBehind, remote.New},
		"unknown":          {unknown, nil, remote.Owing},
		"expired":          {found, token.ErrExpired, remote.Owing},
		"revoked":          {found, errRevoked, remote.Owing},
		"for others":       {found, token.ErrAudience, remote.Owing},
	} {
		l, from := newLookups(), netip.MustParseAddr("192.0.2.1")
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() { _ = l.show(t.Context(), finds(from, c.find, c.verdict)) })
		}
		all.Wait()
		if got := l.standing(from); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	l := newLookups()
	if l.standing(netip.Addr{}) != remote.Owing {
		t.Error("nobody knows the address, and it owes nothing")
	}
}

// stored is the store where every opaque token is this one.
type stored token.Claims

func (s *stored) Opaque(context.Context, token.Digest) (*token.Claims, error) {
	c := token.Claims(*s)
	return &c, nil
}

// A stranger who has one token that opens nothing here is no acquaintance by it.
func TestStoredTokenThatOpensNothingIsOwedFor(t *testing.T) {
	f := newFlooded(t)
	good := token.Claims{Issuer: "https://auth.example.com", Subject: "alice", ClientID: "shop", ID: "good", Expires: f.now.Unix() + 60, All: map[string]any{"sub": "alice"}}
	expired, revoked, elsewhere := good, good, good
	expired.Expires, revoked.ID, elsewhere.Issuer = f.now.Unix(), "revoked-1", "https://auth.example.com/other"
	for n, c := range []struct {
		of     token.Claims
		status int
		want   remote.Standing
	}{{good, http.StatusOK, remote.Known}, {expired, http.StatusUnauthorized, remote.Owing}, {revoked, http.StatusUnauthorized, remote.Owing}, {elsewhere, http.StatusUnauthorized, remote.Owing}} {
		f.gate.opaque = (*stored)(&c.of)
		from := netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
		for range 60 {
			r := httptest.NewRequest(http.MethodGet, "https://app.example.com/", nil)
			r.RemoteAddr = from.String() + ":1"
			r.Header.Set("Authorization", "Bearer "+uuid.NewString())
			_, err := f.gate.Check(r, f.now)
			if refusal, ok := errors.AsType[*Refusal](err); ok != (c.status != http.StatusOK) || ok && refusal.Status != c.status {
				t.Fatalf("%+v: %v", c.of, err)
			}
		}
		if got := f.gate.cache.lookups.standing(from); got != c.want {
			t.Errorf("%+v: %d, want %d", c.of, got, c.want)
		}
	}
}

// What is good elsewhere is owed by nobody, nor what nobody can say elsewhere; and who was
// charged nothing gets nothing back.
func TestTokensThatAreKnownElsewhereAreNotOwed(t *testing.T) {
	silent := func(f *remote.Failure) error {
		return verdictOf(nil, nil, fmt.Errorf("%w: %w", errSilent, f), then)
	}
	for name, c := range map[string]struct {
		verdict error
		want    remote.Standing
	}{
		"good":        {nil, remote.Known},
		"silence":     {silent(&remote.Failure{Result: remote.TimedOut}), remote.New},
		"an error":    {silent(&remote.Failure{Result: remote.Status, Status: http.StatusBadGateway}), remote.New},
		"a 4xx":       {silent(&remote.Failure{Result: remote.Status, Status: http.StatusBadRequest}), remote.Owing},
		"who is that": {silent(&remote.Failure{Result: remote.Status, Status: http.StatusUnauthorized}), remote.New}, // the gate itself
		"not asked":   {silent(&remote.Failure{Result: remote.Refused}), remote.Owing},
		"no good":     {token.ErrUnknown, remote.Owing},
	} {
		l, from := newLookups(), netip.MustParseAddr("192.0.2.1")
		for range 60 {
			a := finds(from, unknown, nil)
			_, charged, _ := l.look(t.Context(), a.of, from, a.digest, then)
			l.settle(charged, c.verdict, from, then)
		}
		if got := l.standing(from); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		for l.standing(from) != remote.Owing {
			_ = l.show(t.Context(), finds(from, unknown, nil))
		}
		a := finds(from, unknown, nil)
		if _, charged, _ := l.look(t.Context(), a.of, from, a.digest, then); charged {
			t.Error("who owes is charged")
		} else if l.settle(charged, nil, from, then); l.standing(from) != remote.Owing {
			t.Error("what was not charged is given back")
		}
	}
}

// Only what the issuer elsewhere keeps to itself is nobody's debt: not that it was asked
// too much from here, or nonsense, and that nobody waited.
func TestSilenceElsewhereThatTheAskerMadeIsOwedFor(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	good := `{"active":true,"sub":"anna","client_id":"app","aud":"%s"}`
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		first  int  // tokens that are asked about elsewhere alone
		leaves bool // before any answer
		want   remote.Standing
	}{
		"good":                  {answer(200, fmt.Sprintf(good, "api")), 0, false, remote.Known},
		"for others":            {answer(200, fmt.Sprintf(good, "others")), 0, false, remote.Owing},
		"no good":               {answer(200, `{"active":false}`), 0, false, remote.Owing},
		"it is not asked":       {answer(500, ""), 0, false, remote.Owing}, // after it has failed
		"it knows no such":      {answer(400, ""), 0, false, remote.Owing},
		"asked too much before": {answer(200, `{"active":false}`), 60, false, remote.Owing},
		"nobody waits":          {answer(200, `{"active":false}`), 0, true, remote.Owing},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlooded(t)
			server := httptest.NewUnstartedServer(c.answer)
			server.Config.ErrorLog = log.New(io.Discard, "", 0) // of those who do not wait
			server.StartTLS()
			t.Cleanup(server.Close)
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			asked, err := remote.NewIntrospection(remote.IntrospectionConfig{
				Issuer: "https://partner.example", URL: server.URL, ClientID: "gate", ClientSecret: "secret", Roots: roots, Timeout: time.Minute,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(asked.Close)
			keys := token.NewRing([]*token.Key{f.key})
			f.gate, err = New(Config{Opaque: nobody{}, Issuers: []Issuer{
				{Identifier: "https://auth.example.com", Keys: keys, Embedded: true},
				{Identifier: "https://partner.example", Keys: token.NewRing(nil), Audiences: []string{"api"}, Asked: asked},
			}}, f.gate.cache)
			if err != nil {
				t.Fatal(err)
			}
			from := netip.MustParseAddr("192.0.2.1")
			show := func(raw string) {
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				if c.leaves {
					leave()
				}
				r := httptest.NewRequestWithContext(ctx, http.MethodGet, "https://app.example.com/", nil)
				r.RemoteAddr = from.String() + ":1"
				r.Header.Set("Authorization", "Bearer "+raw)
				_, _ = f.gate.Check(r, then)
			}
			for n := range c.first {
				show(fmt.Sprint("not-ours-", n))
			}
			for range 60 {
				show(uuid.NewString())
			}
			if got := f.gate.cache.lookups.standing(from); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

// Who leaves before it is his turn has asked nothing; from then on the answer is his,
// whether or not he waits for it.
func TestWhoLeavesBeforeTheAnswerOwesForItToo(t *testing.T) {
	l, from := newLookups(), netip.MustParseAddr("192.0.2.1")
	for range 60 {
		ctx, leave := context.WithCancel(t.Context())
		_ = l.show(ctx, finds(from, func() (*token.Claims, error) { leave(); return nil, token.ErrUnknown }, nil))
	}
	if l.standing(from) != remote.Owing {
		t.Error("who leaves owes nothing")
	}
	l = newLookups()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range turns[remote.New] {
		l.queues[remote.New].stand(from) // somebody's look-up that takes long
	}
	for range 200 {
		if err := l.show(ctx, finds(from, found, nil)); !errors.Is(err, errUnavailable) {
			t.Fatal(err)
		}
	}
	if l.standing(from) != remote.New || len(l.going) != 0 {
		t.Errorf("who has asked nothing: %d, and %d go on", l.standing(from), len(l.going))
	}
}

// A token that hundreds of requests show at once is asked about once.
func TestOneLookupHoweverManyShowTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, from, answer := newLookups(), netip.MustParseAddr("192.0.2.1"), make(chan struct{})
		var asked, charges, noes atomic.Int32
		a := finds(from, func() (*token.Claims, error) {
			asked.Add(1)
			<-answer
			return unknown()
		}, nil)
		for range 300 {
			go func() {
				_, charged, err := l.look(t.Context(), a.of, from, a.digest, then)
				if charged {
					charges.Add(1)
				}
				if errors.Is(err, token.ErrUnknown) {
					noes.Add(1)
				}
			}()
		}
		synctest.Wait()
		impatient, leave := context.WithCancel(t.Context())
		leave()
		if err := l.show(impatient, a); !errors.Is(err, errUnavailable) {
			t.Errorf("somebody who does not wait: %v", err)
		}
		close(answer)
		synctest.Wait()
		if noes.Load() != 300 || charges.Load() != 1 || asked.Load() != 1 || len(l.going) != 0 {
			t.Errorf("%d answers, %d charges, %d questions, %d go on", noes.Load(), charges.Load(), asked.Load(), len(l.going))
		}
	})
}

// One host's turn is not the other's.
func TestTokenOfTwoHostsIsAskedAboutInTheTurnOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, owing, honest := newLookups(), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.7")
		for l.standing(owing) != remote.Owing {
			_ = l.show(t.Context(), finds(owing, unknown, nil))
		}
		l.queues[remote.Owing].stand(owing) // somebody's look-up that takes long
		a := finds(owing, found, nil)
		go func() {
			if err := l.show(t.Context(), a); !errors.Is(err, errManyLookups) {
				t.Errorf("of who owes: %v", err)
			}
		}()
		synctest.Wait()
		a.from = honest
		if err := l.show(t.Context(), a); err != nil {
			t.Errorf("of another host: %v", err)
		}
		time.Sleep(2 * lookupWait)
	})
}

// When whoever began to ask leaves before it is his turn, the next one asks.
func TestNextOneAsksWhenTheFirstHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, from := newLookups(), netip.MustParseAddr("192.0.2.1")
		for range turns[remote.New] {
			l.queues[remote.New].stand(from)
		}
		first, leave := context.WithCancel(t.Context())
		a := finds(from, found, nil)
		var good atomic.Int32
		go func() {
			if err := l.show(first, a); !errors.Is(err, errUnavailable) {
				t.Errorf("the first: %v", err)
			}
		}()
		synctest.Wait()
		for range 20 {
			go func() {
				if err := l.show(t.Context(), a); err == nil {
					good.Add(1)
				}
			}()
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		l.queues[remote.New].leave()
		synctest.Wait()
		if good.Load() != 20 {
			t.Errorf("%d of those who stayed have the answer", good.Load())
		}
	})
}

// A flood from thousands of addresses keeps those waiting that have shown nothing yet, a
// turn of each, and not those of which a token was good.
func TestFloodFromManyAddressesLeavesATurnToThoseWhoAreKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, known := newLookups(), netip.MustParseAddr("198.51.100.7")
		if err := l.show(t.Context(), finds(known, found, nil)); err != nil {
			t.Fatal(err)
		}
		held := make(chan struct{})
		for n := range 1000 {
			go func() {
				_ = l.show(t.Context(), finds(netip.AddrFrom4([4]byte{203, 0, byte(n >> 8), byte(n)}), func() (*token.Claims, error) {
					<-held
					return unknown()
				}, nil))
			}()
		}
		synctest.Wait()
		if err := l.show(t.Context(), finds(known, found, nil)); err != nil {
			t.Errorf("somebody who was here: %v", err)
		}
		if err := l.show(t.Context(), finds(netip.MustParseAddr("198.51.100.8"), found, nil)); !errors.Is(err, errManyLookups) {
			t.Errorf("somebody new, behind a thousand: %v", err)
		}
		close(held)
	})
}

// An office whose tokens are all new at once finds its turns beside a flood, also one from
// hundreds of hosts that each had a good token.
func TestManyNewTokensOfOneAddressPassBesideAFlood(t *testing.T) {
	for name, hosts := range map[string]int{"of one host": 1, "of a /56": 256} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, office := newLookups(), netip.MustParseAddr("198.51.100.7")
				slowly := func(answer func() (*token.Claims, error)) func() (*token.Claims, error) {
					return func() (*token.Claims, error) {
						time.Sleep(time.Millisecond)
						return answer()
					}
				}
				for n := range 3000 {
					from := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 7: byte(n % hosts), 15: 1})
					if n < hosts {
						_ = l.show(t.Context(), finds(from, found, nil))
					}
					go func() { _ = l.show(t.Context(), finds(from, slowly(unknown), nil)) }()
				}
				synctest.Wait()
				var in atomic.Int32
				for range 200 {
					go func() {
						if err := l.show(t.Context(), finds(office, slowly(found), nil)); err == nil {
							in.Add(1)
						}
					}()
				}
				time.Sleep(time.Minute)
				if in.Load() != 200 {
					t.Errorf("%d of 200 got in", in.Load())
				}
			})
		})
	}
}
