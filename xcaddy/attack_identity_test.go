package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// spellings are how a client may write a name so that some backend reads it as
// the identity header.
func spellings(name string) []string {
	all := []string{name, strings.ToLower(name), strings.ToUpper(name)}
	for _, c := range "_.!#$%&'*+^`|~" {
		all = append(all, strings.ReplaceAll(name, "-", string(c)), strings.Replace(name, "-", string(c), 1))
	}
	return all
}

// environment is how the laxest of CGI servers names a header: two headers of one
// name here are one there.
func environmentOf(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z' || '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, name)
}

// B01 - B04: what a client says of itself never arrives, in no spelling, with a
// token or without one, whether the claim is there or not, and also where the
// server is told to let names with an underscore through.
func TestWhatAClientSaysOfItselfNeverArrives(t *testing.T) {
	b := &besieged{instance: newInstance(t), partner: newPartner(t)}
	b.partner.publish(b.instance, "partner.json")
	b.configure(threeClients, `{$SITE} {
	token_issuer
	token_gate /in/* {
		issuer https://partner.example {
			audience https://api.example.com
			jwks_file partner.json
		}
		header X-User {claim.sub}
		header X-User-Email {claim.email}
	}
	reverse_proxy {$BACKEND}
}
`, "\tservers {\n\t\texpected_underscore_headers X_User X_User_Email X-User_Email x_auth_request_user\n\t}\n")
	b.start()
	b.serve(func(rw http.ResponseWriter, r *http.Request) {
		b.seen.Add(1)
		_ = json.NewEncoder(rw).Encode(&echo{r.RequestURI, r.Header})
	})
	mallory := bearer(b.partner.good()) // whose token has no email
	names := []string{"X-User", "X-User-Email", "X-Forwarded-User", "Remote-User", "X-Auth-Request-User", "X-Auth-Subject", "X-Remote-User", "X-Forwarded-Email"}
	for _, name := range names {
		for _, spelling := range spellings(name) {
			for path, lines := range map[string][]string{"/in/x": {mallory}, "/out/x": {mallory}, "/out/y": nil} {
				status, _, saw := b.get(path, append(lines, spelling+": admin", spelling+": root")...)
				if status != http.StatusOK || saw == nil {
					t.Fatalf("%s %s: %d", path, spelling, status)
				}
				for arrived, values := range saw.Header {
					if environmentOf(arrived) != environmentOf(name) {
						continue
					}
					if own := path == "/in/x" && arrived == "X-User" && len(values) == 1 && values[0] == "mallory"; !own {
						t.Errorf("%s, %s: the backend saw %s: %q", path, spelling, arrived, values)
					}
				}
				if path == "/in/x" && saw.Header.Get("X-User") != "mallory" {
					t.Errorf("%s: the caller's own name is gone: %v", spelling, saw.Header)
				}
			}
		}
	}
}

// J04: more than 16 KiB of headers, a long address: 431 or 414, and nothing behind.
func TestHugeRequestsAreTurnedAway(t *testing.T) {
	b := newBesieged(t, "gatehouse")
	many := make([]string, 5000)
	for n := range many {
		many[n] = "X-Header-" + strings.Repeat("x", 20) + ": " + strings.Repeat("y", 20)
	}
	for name, c := range map[string]struct {
		target string
		lines  []string
	}{
		"a header of a megabyte": {"/public/x", []string{"X-Other: " + strings.Repeat("x", 1<<20)}},
		"5,000 headers":          {"/public/x", many},
		"an address of 1 MB":     {"/public/" + strings.Repeat("x", 1<<20), nil},
		"a name of 30,000":       {"/public/x", []string{strings.Repeat("x", 30_000) + ": 1"}},
	} {
		status, _, saw := b.get(c.target, c.lines...)
		if saw != nil || status != http.StatusRequestHeaderFieldsTooLarge && status != http.StatusRequestURITooLong {
			t.Errorf("%s: %d", name, status)
		}
	}
}
