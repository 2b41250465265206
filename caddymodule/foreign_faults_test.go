package caddymodule

import (
	"context"
	"fmt"
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
// that nobody has make it ask them all. No good token fails or waits.
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

	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	var requests sync.WaitGroup
	until := func(each func()) {
		requests.Go(func() {
			for ctx.Err() == nil {
				each()
			}
		})
	}
	served := map[string]*atomic.Int64{}
	for name, bearer := range good {
		n := new(atomic.Int64)
		served[name] = n
		until(func() {
			if got := w.get("/", bearer); got.status != http.StatusOK {
				t.Errorf("%s: %v", name, got)
			}
			n.Add(1)
		})
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
	until(func() {
		key := rotating.rotate(t)
		bearer := rotating.bearer(t, key)
		latest.Store(&bearer)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	})
	until(func() {
		if bearer := latest.Load(); bearer != nil {
			if got := w.get("/", *bearer); got.status != http.StatusOK {
				t.Errorf("a key of this second: %v", got)
			}
		}
	})
	requests.Wait()
	for name, a := range issuers {
		if n := a.fetches.Load(); n > 3 && name != "every second" || n > 7 {
			t.Errorf("%s was asked %d times", name, n)
		}
	}
	all := int64(0)
	for name, n := range served {
		if all += n.Load(); n.Load() < 5 { // who waits for keys waits two seconds
			t.Errorf("%d good requests of %s in four seconds", n.Load(), name)
		}
	}
	if all < 200 { // many more where nothing else runs
		t.Errorf("%d good requests in four seconds", all)
	}
	if sent.Load() > 64<<20 {
		t.Errorf("%d bytes of an endless answer were taken", sent.Load())
	}
	t.Logf("%d good requests", all)
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
