package caddymodule

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// toldGlobal is the login world whose client is told of sign-outs.
func toldGlobal(address, more string) string {
	return strings.Replace(loginGlobal, "logout tokens", "logout tokens\n backchannel_logout_uri "+address+"\n"+more, 1)
}

// A reload that fails after our Start must not leave its authorities behind, nor
// take away those that the configuration which goes on needs.
func TestReloadThatFailsLeavesNoticesAlone(t *testing.T) {
	told := make(chan string, 8)
	client := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r.PostFormValue("logout_token") }))
	defer client.Close()
	w := loginWorld(t)
	w.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: client.Certificate().Raw})))
	w.load(toldGlobal(client.URL, "backchannel_logout_ca_file "+w.dir+"/ca.pem"), loginSites)
	alice := w.visitor()
	alice.signIn("https://app.example.com/", "alice")
	for range 6 { // which app starts first is up to chance
		fails := loginSites + "\nhttp://b.example.com {\n\tbind unix/$DIR/no/such/folder\n\ttoken_issuer\n}"
		if err := caddy.Load(w.caddyfile(toldGlobal(client.URL, ""), fails), true); err == nil {
			t.Fatal("loaded")
		}
	}
	alice.visit("https://auth.example.com/logout?client_id=site&logout_redirect_uri=https://app.example.com/", "Sec-Fetch-Site: none")
	waitFor(t, func() bool { return len(told) == 1 || len(w.events("background work")) > 0 })
	if len(told) != 1 {
		t.Errorf("not told: %v", w.events("background work"))
	}
}

// Operators read the log that the newest configuration names.
func TestBackgroundWorkIsInTheLogOfTheNewestConfiguration(t *testing.T) {
	client := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) }))
	defer client.Close()
	w := newWorld(t)
	w.backend(nil)
	w.load(toldGlobal(client.URL, ""), loginSites)
	w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
	alice := w.visitor()
	alice.signIn("https://app.example.com/", "alice")

	next := strings.ReplaceAll(string(w.caddyfile(toldGlobal(client.URL, ""), loginSites)), w.log, w.log+"2")
	if err := caddy.Load([]byte(next), true); err != nil {
		t.Fatal(err)
	}
	before := w.log
	w.log = filepath.Join(w.dir, "log2")
	alice.visit("https://auth.example.com/logout?client_id=site&logout_redirect_uri=https://app.example.com/", "Sec-Fetch-Site: none")
	warnOfHashing(errors.New("there are too many"))
	waitFor(t, func() bool { return len(w.events("background work")) > 0 })
	if !strings.Contains(w.logged(), "there are too many") {
		t.Error("what keeps passwords from being hashed apart is not in the log")
	}
	w.log = before
	if e := w.events("background work"); len(e) > 0 {
		t.Errorf("in the log of a configuration that is gone: %v", e)
	}
}
