package tokenissuer_test

import (
	"net/http"
	"regexp"
	"testing"
)

var browserButton = regexp.MustCompile(`name="end" value="([^"]+)"`)

// Who signs out another browser may have lost it: what apps got there ends, of those
// too that are told of a sign-out and go on after an ordinary one.
func TestSignInsOfALostMachineEnd(t *testing.T) {
	for name, told := range map[string]bool{"a client that is told": true, "one that is not": false} {
		t.Run(name, func(t *testing.T) {
			config := authorizing()
			config.Clients[0].Logout = "session"
			if told {
				config.Clients[0].BackchannelLogoutURI = listen(t).URL
			}
			s := start(t, config)
			s.user("alice", "")
			lost, b := s.browser(), s.browser()
			tokens := s.good(redeemShop(lost.signedIn(authorizePath("shop"), "alice").Get("code")))
			b.signedIn(authorizePath("shop"), "alice")
			page := b.get("/portal/account/browsers")
			button := browserButton.FindStringSubmatch(page.body)
			if button == nil {
				t.Fatal(page.body)
			}
			b.follow(b.submit(page, "end", button[1]))
			if status := s.userinfoStatus(tokens.text(t, "access_token")); status != http.StatusUnauthorized {
				t.Errorf("the access token: %d", status)
			}
			if a := s.token(refresh("shop", tokens.text(t, "refresh_token")) + "&client_secret=" + secret); a.status != http.StatusBadRequest {
				t.Errorf("the refresh token: %d", a.status)
			}
		})
	}
}
