package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestStrangersFloodLeavesOthersNewTokens (J01): one host makes up 140 opaque tokens a
// second, from all over its /64, and names itself in a header besides. Whoever comes
// with a token that nobody has seen is let in meanwhile.
func TestStrangersFloodLeavesOthersNewTokens(t *testing.T) {
	t.Setenv("PARTNER_SECRET", partnerSecret)
	w := newWorld(t)
	w.backend(nil)
	a := newAbroad(w)
	a.opaque = func(raw string) bool { return strings.HasPrefix(raw, "good-") }
	w.load("\tservers {\n\t\ttrusted_proxies_unix\n\t\ttrusted_proxies_strict\n\t}\n",
		a.site("introspection "+a.URL+"/introspect {\n client_id gate\n client_secret {env.PARTNER_SECRET}\n}"))
	get := func(raw, from string) int {
		return w.get("/", "Authorization: Bearer "+raw, "X-Forwarded-For: "+from).status
	}
	if got := get("good-known", "2001:db8:1:1::1"); got != http.StatusOK {
		t.Fatal(got)
	}
	var flood sync.WaitGroup
	stop := make(chan struct{})
	for part := range 4 {
		flood.Go(func() {
			tick := time.NewTicker(time.Second / 35)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				if got := get(fmt.Sprintf("bad-%d-%d", part, n), fmt.Sprintf("198.51.100.9, 2001:db8:1:1::%x:%x", part, n+1)); got == http.StatusOK {
					t.Error("it opens")
				}
			}
		})
	}
	honest := time.NewTicker(30 * time.Millisecond)
	defer honest.Stop()
	// Before the end the allowance that all have in common would be gone: 120 more come in a
	// second than it grows by.
	for n := range 100 {
		<-honest.C
		if got := get(fmt.Sprintf("good-%d", n), fmt.Sprintf("192.0.2.%d", n%250)); got != http.StatusOK {
			t.Errorf("new token %d of another address: %d", n, got)
		}
		if got := get("good-known", "2001:db8:1:1::1"); got != http.StatusOK {
			t.Errorf("a known one, from the stranger's own: %d", got)
		}
	}
	for n, end := 0, time.Now().Add(time.Minute); get(fmt.Sprint("bad-last-", n), "2001:db8:1:1::ffff") != http.StatusServiceUnavailable; n++ {
		if time.Now().After(end) {
			t.Error("the stranger's own are asked about, and there was no flood")
			break
		}
	}
	close(stop)
	flood.Wait()
	n := 0
	waitFor(t, func() bool { // an operator's own are judged by the same rule
		n++
		return strings.Contains(w.explained(http.MethodGet, "http://app.example.com/", fmt.Sprint("bad-asked-", n)).Mend, "trusted_proxies")
	})
}
