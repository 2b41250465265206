package caddymodule

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"
)

// events opens server-sent events by the cookie alone, as a page of the site does.
func (p *visitor) events(host, accept string) *opened {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), http.MethodGet, "https://"+host+"/events", nil)
	if err != nil {
		p.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Mode", "cors")
	response, err := p.http.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		p.Fatalf("%s", response.Status)
	}
	return p.begun(&opened{host + " as " + accept, bufio.NewReader(response.Body), response.Body.Close, make(chan struct{})})
}

// TestSigningOutEndsTheStreamsOfTheSignIn: the token of an issuer elsewhere goes on being
// good, so what ends its streams is that the person has gone.
func TestSigningOutEndsTheStreamsOfTheSignIn(t *testing.T) {
	t.Setenv("PARTNER_SECRET", partnerSecret)
	for name, c := range map[string]struct{ here, shadow bool }{"elsewhere": {}, "here": {here: true}, "elsewhere, read by a gate in the shadow": {shadow: true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.backend(endless)
			alice, other := w.visitor(), w.visitor()
			if c.here {
				w.load(loginGlobal, loginSites)
				w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
			} else {
				n := newNeighbour(w)
				sites := n.sites()
				if c.shadow {
					begin, end := strings.Index(sites, "\ttoken_gate"), strings.Index(sites, "\treverse_proxy")
					sites = sites[:begin] + strings.Replace(sites[begin:end], "embedded off", "embedded off\n\t\tshadow", 1) + sites[begin:]
				}
				w.load("", sites)
				n.goesAbroad(alice)
				n.goesAbroad(other)
			}
			alice.signIn("https://app.example.com/", "alice")
			other.signIn("https://app.example.com/", "alice")
			ending := []*opened{alice.events("app.example.com", "text/event-stream"), alice.events("app.example.com", "*/*")}
			staying := other.events("app.example.com", "text/event-stream")
			if a := alice.visit("https://app.example.com/.gatehouse/logout", "Sec-Fetch-Site: same-origin"); a.status != http.StatusSeeOther {
				t.Fatal(a)
			}
			for _, o := range ending {
				select {
				case <-o.over:
				case <-time.After(far):
					t.Errorf("%s goes on", o.name)
				}
			}
			select {
			case <-staying.over:
				t.Error("another browser's has ended, too")
			default:
			}
		})
	}
}
