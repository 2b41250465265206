package caddymodule

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// TestIssuersThatMisbehaveWhileRequestsRun (G01, G02): one gate, our own issuer and
// one each that has given its keys once and then is dead, slow, endless, or tells
// something else, and one that rotates every second. Strangers' tokens with keys
// that nobody has make it ask them all. No good token fails or waits, but one whose key
// nobody has yet, where the machine is too slow to fetch that in time. It goes on until
// enough were served, however long that takes on this machine.
func TestIssuersThatMisbehaveWhileRequestsRun(t *testing.T) {
	w := newWorld(t)
	w.backend(func(http.ResponseWriter, *http.Request) {})
	var sent atomic.Int64
	faults := map[string]http.HandlerFunc{
		"dead":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"slow":    func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"failing": func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) },
		"lying":   func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>")) },
		"elsewhere": func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "http://169.254.169.254/", http.StatusFound)
		},
		"endless":      func(rw http.ResponseWriter, _ *http.Request) { flow(rw, &sent) },
		"well":         nil,
		"every second": nil,
	}
	issuers := map[string]*abroad{}
	var blocks strings.Builder
	for name := range faults {
		a := newAbroad(w)
		issuers[name] = a
		fmt.Fprintf(&blocks, "issuer %s {\n audience https://api.example.com\n ca_file $DIR/ca.pem\n}\n", a.URL)
	}
	w.load(oneIssuer, strings.Replace(oneSite, "token_gate", "token_gate {\n"+blocks.String()+"}", 1))
	ours := "Authorization: Bearer " + w.token()
	good := map[string]string{"ours": ours}
	for name, a := range issuers {
		good[name] = a.bearer(t, a.key)
		if got := w.get("/", good[name]); got.status != http.StatusOK {
			t.Fatalf("%s: %v", name, got)
		}
		a.fault.Store(faults[name])
	}

	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var requests sync.WaitGroup
	until := func(each func()) {
		requests.Go(func() {
			for ctx.Err() == nil {
				each()
			}
		})
	}
	const ofThisSecond = "a key of this second"
	served := map[string]*atomic.Int64{ofThisSecond: {}}
	for name := range good {
		served[name] = new(atomic.Int64)
	}
	serve := func(name, bearer string) (fetched bool) {
		began := time.Now()
		got := w.get("/", bearer)
		late := time.Since(began) >= 2*time.Second // who waits for keys waits two
		switch {
		case got.status == http.StatusServiceUnavailable && name == ofThisSecond && late: // not in time, beside all this
			return false
		case got.status != http.StatusOK:
			t.Errorf("%s: %v", name, got)
			cancel()
		case !late:
			served[name].Add(1)
		}
		return true
	}
	for name, bearer := range good {
		until(func() { serve(name, bearer) })
	}
	stranger := newPartner(t).key
	for name, a := range issuers {
		if name == "every second" {
			continue // what strangers make it asked for too early costs ten seconds of its next key
		}
		unknown := a.bearer(t, stranger)
		until(func() {
			began := time.Now()
			got := w.get("/", unknown)
			if took := time.Since(began); got.status != http.StatusUnauthorized && got.status != http.StatusServiceUnavailable || took > 8*time.Second {
				t.Errorf("a stranger in the name of %s, after %v: %v", name, took, got)
			}
		})
	}
	rotating := issuers["every second"]
	var latest atomic.Pointer[string]
	var rotated atomic.Int64
	until(func() {
		key := rotating.rotate(t)
		bearer := rotating.bearer(t, key)
		latest.Store(&bearer)
		rotated.Add(1)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	})
	until(func() {
		if bearer := latest.Load(); bearer != nil {
			for !serve(ofThisSecond, *bearer) && ctx.Err() == nil { // it comes again, as it is told
			}
		}
	})
	until(func() {
		all, least := countServed(served)
		if rotated.Load() > 4 && all >= 200 && least >= 5 {
			cancel()
		}
		<-time.After(10 * time.Millisecond)
	})
	requests.Wait()
	took := time.Since(start)
	for name, a := range issuers {
		most := 3 + took/(10*time.Second) // unknown keys have it asked no oftener
		if name == "every second" {
			most = 3 + took/time.Second
		}
		if n := a.fetches.Load(); time.Duration(n) > most {
			t.Errorf("%s was asked %d times in %v", name, n, took)
		}
	}
	all, least := countServed(served)
	if all < 200 || least < 5 {
		t.Errorf("%d good requests in %v, of one only %d", all, took, least)
	}
	if sent.Load() > 64<<20 {
		t.Errorf("%d bytes of an endless answer were taken", sent.Load())
	}
	t.Logf("%d good requests in %v", all, took)
}

// countServed is how many there were in all, and of whom there were least.
func countServed(served map[string]*atomic.Int64) (all, least int64) {
	least = math.MaxInt64
	for _, n := range served {
		all, least = all+n.Load(), min(least, n.Load())
	}
	return all, least
}

// flow sends until nobody reads any more.
func flow(rw http.ResponseWriter, sent *atomic.Int64) {
	for spaces := []byte(strings.Repeat(" ", 32<<10)); ; {
		n, err := rw.Write(spaces)
		if sent.Add(int64(n)); err != nil {
			return
		}
	}
}

// rotate adds a key, which signs from now on; those before it stay published.
func (a *abroad) rotate(t *testing.T) *token.Key {
	next := newPartner(t)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.jwks = strings.TrimSuffix(a.jwks, "]}") + "," + strings.TrimPrefix(next.jwks, `{"keys":[`)
	return next.key
}
