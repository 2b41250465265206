package client

import "testing"

// TestLoopbackAddressMayDifferInItsPortAlone is RFC 8252 §7.3 for an app on the
// person's own machine, and D02 for everything else about its address.
func TestLoopbackAddressMayDifferInItsPortAlone(t *testing.T) {
	app := Registration{ID: "app", Type: Mobile, RedirectURIs: []string{"http://127.0.0.1/cb", "com.example.app:/cb"}}.client()
	for asked, want := range map[string]bool{
		"http://127.0.0.1/cb": true, "http://127.0.0.1:5000/cb": true, "com.example.app:/cb": true,
		"http://127.0.0.1:5000/cb#": false, "http://127.0.0.1:5000/cb?": false, "http://127.0.0.1:5000/%63b": false, "http://127.0.0.1:5000/cb/": false,
		"http://127.0.0.1:5000": false, "http://127.0.0.2:5000/cb": false, "http://localhost:5000/cb": false, "https://127.0.0.1:5000/cb": false,
		"HTTP://127.0.0.1:5000/cb": false, "http://u@127.0.0.1:5000/cb": false, "http://127.0.0.1:5000@evil.example/cb": false, "http://127.0.0.1:/cb": false,
		"http://127.0.0.1:65535/cb": true, "http://127.0.0.1:65536/cb": false, "http://127.0.0.1:99999999/cb": false, "http://127.0.0.1:080/cb": false, "http://127.0.0.1:0/cb": false,
		"com.example.app:/cb#": false, "": false,
	} {
		if _, ok := app.Redirect(asked); ok != want {
			t.Errorf("%q: %v", asked, ok)
		}
	}
	web := Registration{ID: "web", Type: Web, RedirectURIs: []string{"http://127.0.0.1/cb"}}.client()
	if _, ok := web.Redirect("http://127.0.0.1:5000/cb"); ok {
		t.Error("D03: another port for a client that is no app")
	}
}
