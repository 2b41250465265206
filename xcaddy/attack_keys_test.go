package main

import (
	"crypto/rand"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// G01: tokens with key ids that nobody has make the gate ask their issuer, who does not
// answer. What he signed with a key that is known goes through meanwhile. A request that
// waits for keys waits two seconds and a fetch is given up after ten: of good ones that
// waited, no more than five would be through in the time of one fetch.
func TestFloodOfUnknownKeysHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	i, partner := newInstance(t), newPartner(t)
	i.path = swift(t)
	keys, released := text(map[string]any{"keys": []any{partner.jwk(t)}}), make(chan struct{})
	var hangs atomic.Bool
	var fetches, hanging atomic.Int64 // the number of the one that hangs; 0: none
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number := fetches.Add(1)
		if hangs.Load() {
			hanging.Store(number)
			select {
			case <-r.Context().Done():
			case <-released:
			}
			hanging.Store(0)
			return
		}
		_, _ = w.Write(keys)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(released) })
	partner.issuer = server.URL
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(i.file("ca.pem"), certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	i.configure(threeClients, `{$SITE} {
	token_issuer
	token_gate {
		issuer `+server.URL+` {
			audience https://api.example.com
			jwks_uri `+server.URL+`/keys
			ca_file ca.pem
		}
	}
	reverse_proxy {$BACKEND}
}
`)
	i.start()
	i.serve(func(http.ResponseWriter, *http.Request) {})
	good := bearer(partner.good())
	eventually(t, "the keys are there", func() bool { return i.must(http.MethodGet, "/", "", good).status == http.StatusOK })
	before := fetches.Load()
	hangs.Store(true)
	began := time.Now()

	over := make(chan struct{})
	var flood sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(over)
		flood.Wait()
	})
	defer end()
	for range 30 {
		flood.Go(func() {
			each := time.NewTicker(100 * time.Millisecond)
			defer each.Stop()
			for {
				select {
				case <-over:
					return
				case <-each.C:
				}
				unknown := partner.token(map[string]any{"kid": rand.Text()}, nil)
				if got, err := i.ask(http.MethodGet, "/", "", bearer(unknown)); err != nil || got.status != http.StatusUnauthorized && got.status != http.StatusServiceUnavailable {
					t.Errorf("a key that nobody has: %d %s, %v", got.status, got.body, err)
				}
			}
		})
	}
	var of int64 // the fetch beside which requests went through
	row := 0
	eventually(t, "ten good ones in the time of one fetch", func() bool {
		during := hanging.Load()
		if got, err := i.ask(http.MethodGet, "/", "", good); err != nil || got.status != http.StatusOK {
			t.Errorf("a good one: %d %s, %v", got.status, got.body, err)
		}
		if during == 0 || during != hanging.Load() {
			return false
		}
		if during != of {
			of, row = during, 0
		}
		row++
		return row == 10 || t.Failed()
	})
	end()
	if n, most := fetches.Load()-before, int64(time.Since(began)/(10*time.Second))+2; n > most {
		t.Errorf("%d fetches in %v", n, time.Since(began))
	}
}
