package tokenissuer_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// listener is a client's back-channel logout address.
type listener struct {
	*httptest.Server
	lock    sync.Mutex
	answers []int // 200 when used up
	got     chan string
}

func listen(t *testing.T, answers ...int) *listener {
	l := &listener{answers: answers, got: make(chan string, 16)}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.lock.Lock()
		defer l.lock.Unlock()
		status := http.StatusOK
		if len(l.answers) > 0 {
			status, l.answers = l.answers[0], l.answers[1:]
		}
		w.WriteHeader(status)
		l.got <- r.PostFormValue("logout_token")
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) next(t *testing.T) string {
	t.Helper()
	select {
	case raw := <-l.got:
		return raw
	case <-time.After(time.Minute):
		t.Fatal("the client was not told")
		return ""
	}
}

func TestSignOutIsToldToTheClientsOfTheSession(t *testing.T) {
	told, other := listen(t), listen(t)
	list := authorizing().Clients
	for n := range list {
		switch list[n].ID {
		case "shop":
			list[n].BackchannelLogoutURI = told.URL
		case "other": // never signed in to in this browser
			list[n].BackchannelLogoutURI = other.URL
		}
	}
	s := start(t, tokenissuer.Config{Clients: list})
	u := s.user("alice", "")
	b := s.browser()
	redeem := func(client string, more ...string) answer {
		code := b.signedIn(authorizePath(client, more...), "alice").Get("code")
		return s.good(form(append([]string{"client_id", client, "grant_type", "authorization_code", "code", code, "redirect_uri", callback}, map[string][]string{
			"shop": {"client_secret", secret}, "spa": {"code_verifier", verifier},
		}[client]...)...))
	}
	shop, spa := redeem("shop"), redeem("spa", "code_challenge", challenge(), "code_challenge_method", "S256")
	_, id := decoded(t, shop.text(t, "id_token"))
	sid := regexpSID.FindStringSubmatch(id)
	if sid == nil {
		t.Fatalf("no sid for a client that will be told of it: %s", id)
	}
	if _, id := decoded(t, spa.text(t, "id_token")); strings.Contains(id, `"sid"`) {
		t.Errorf("a sid nobody asked for: %s", id)
	}
	b.get("/logout?" + form("client_id", "shop"))
	raw := told.next(t)
	header, claims := decoded(t, raw)
	if !strings.Contains(header, `"typ":"logout+jwt"`) {
		t.Errorf("header %s", header)
	}
	if got := keys(t, claims); got != "iss sub aud sid iat exp jti events" {
		t.Errorf("claims: %s", got)
	}
	for _, want := range []string{`"iss":"https://auth.example.com"`, `"sub":"` + u.ID + `"`, `"aud":"shop"`, sid[0], `"events":{"http://schemas.openid.net/event/backchannel-logout":{}}`} {
		if !strings.Contains(claims, want) {
			t.Errorf("%s lacks %s", claims, want)
		}
	}
	s.check(t, "/oauth2/token", row{form: refresh("shop", shop.text(t, "refresh_token")) + "&client_secret=" + secret, status: 400, body: invalidGrant})
	if got := s.userinfoStatus(shop.text(t, "access_token")); got != http.StatusUnauthorized {
		t.Errorf("its access token: %d", got)
	}
	// A client that did not ask to be told keeps its sign-in, as the documents have it.
	s.good(refresh("spa", spa.text(t, "refresh_token")))
	if len(other.got) > 0 {
		t.Error("a client of another session was told")
	}
	if got := s.send(http.MethodGet, "/userinfo", "", "Authorization: Bearer "+raw); got.status != http.StatusUnauthorized {
		t.Errorf("A23: the logout token opened userinfo: %d", got.status)
	}
}

// TestClientSaysWhatASignOutEnds: its own word decides, and without one whether
// it is told.
func TestClientSaysWhatASignOutEnds(t *testing.T) {
	for _, c := range []struct {
		name, logout string
		told, ends   bool
	}{
		{"nothing said", "", false, false},
		{"it is told", "", true, true},
		{"tokens", "tokens", false, true},
		{"session, and it is told", "session", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			told, config := listen(t), authorizing()
			config.Clients[0].Logout = c.logout
			if c.told {
				config.Clients[0].BackchannelLogoutURI = told.URL
			}
			s := start(t, config)
			s.user("alice", "")
			b := s.browser()
			redeem := func(code string) string {
				return form("client_id", "shop", "client_secret", secret, "grant_type", "authorization_code", "code", code, "redirect_uri", callback)
			}
			a := s.good(redeem(b.signedIn(authorizePath("shop"), "alice").Get("code")))
			onItsWay := b.signedIn(authorizePath("shop"), "alice").Get("code")
			elsewhere := s.good(signIn("shop", "alice") + "&client_secret=" + secret)
			b.get("/logout?" + form("client_id", "shop"))
			if c.told {
				told.next(t)
			}
			want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusOK}[c.ends]
			if got := s.userinfoStatus(a.text(t, "access_token")); got != want {
				t.Errorf("its access token: %d, want %d", got, want)
			}
			want = map[bool]int{true: http.StatusBadRequest, false: http.StatusOK}[c.ends]
			if got := s.token(refresh("shop", a.text(t, "refresh_token")) + "&client_secret=" + secret); got.status != want {
				t.Errorf("its refresh token: %d, want %d", got.status, want)
			}
			if got := s.token(redeem(onItsWay)); got.status != want {
				t.Errorf("the code on its way: %d, want %d", got.status, want)
			}
			if got := s.userinfoStatus(elsewhere.text(t, "access_token")); got != http.StatusOK {
				t.Errorf("a sign-in without the browser: %d", got)
			}
		})
	}
}
