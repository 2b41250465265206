package tokenissuer_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// crowd makes requests at once.
func crowd(size int, request func(n int) answer) []answer {
	var all sync.WaitGroup
	begin := make(chan struct{})
	answers := make([]answer, size)
	for n := range size {
		all.Go(func() {
			<-begin
			answers[n] = request(n)
		})
	}
	close(begin)
	all.Wait()
	return answers
}

// at is a request of a browser without the network, which would line a crowd up.
func (s *server) at(b *browser, path string) answer {
	r := httptest.NewRequest(http.MethodGet, "https://auth.example.com"+path, nil)
	for _, c := range b.Jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	s.issuer.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// codesOf are the codes that authorization requests were answered with; every
// other answer has to be this error.
func codesOf(t *testing.T, answers []answer, otherwise string) (codes []string) {
	t.Helper()
	for _, a := range answers {
		to, err := url.Parse(a.header.Get("Location"))
		switch {
		case err == nil && to.Query().Has("code"):
			codes = append(codes, to.Query().Get("code"))
		case err != nil || to.Query().Get("error") != otherwise:
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
	}
	return codes
}

// Whoever signs out while the same browser asks for codes has no sign-in left of
// it.
func TestSignOutLeavesNoCodeThatWasAskedForMeanwhile(t *testing.T) {
	config := authorizing()
	config.Clients[0].Logout = "tokens"
	s := start(t, config)
	s.user("alice", "")
	for range 50 {
		b := s.browser()
		b.signedIn(authorizePath("shop"), "alice")
		answers := crowd(4, func(n int) answer {
			if n == 0 {
				return b.get("/logout?" + form("client_id", "shop"))
			}
			return b.get(authorizePath("shop", "prompt", "none"))
		})
		if answers[0].status != http.StatusFound {
			t.Errorf("sign-out: %d %s", answers[0].status, answers[0].body)
		}
		for _, code := range codesOf(t, answers[1:], "login_required") {
			if a := s.token(redeemShop(code)); a.status != http.StatusBadRequest {
				t.Errorf("a code outlives the sign-out: %d", a.status)
			}
		}
	}
}

// However often the link is pressed, the client is told once.
func TestOneOfFiftySignOutsIsTold(t *testing.T) {
	told, config := listen(t), authorizing()
	config.Clients[0].BackchannelLogoutURI = told.URL
	s := start(t, config)
	s.user("alice", "")
	sessions := map[string]bool{}
	for range 4 {
		b := s.browser()
		s.good(redeemShop(b.signedIn(authorizePath("shop"), "alice").Get("code")))
		for _, a := range crowd(50, func(int) answer { return s.at(b, "/logout?"+form("client_id", "shop")) }) {
			if a.status != http.StatusFound {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
		_, notice := decoded(t, told.next(t))
		if sid := regexpSID.FindString(notice); sid == "" || sessions[sid] {
			t.Errorf("told twice: %s", notice)
		} else {
			sessions[sid] = true
		}
	}
}

// Whoever takes an app's access back while the app asks for codes has no sign-in
// left of it.
func TestWithdrawalLeavesNoCodeThatWasAskedForMeanwhile(t *testing.T) {
	s := start(t, authorizing())
	s.user("alice", "")
	b := s.browser()
	b.signedIn(authorizePath("shop"), "alice")
	for range 6 {
		b.follow(b.submit(b.follow(b.get(authorizePath("other"))), "decision", "allow"))
		apps := b.get("/portal/account/apps")
		_, apps.body, _ = strings.Cut(apps.body, "<strong>other</strong>")
		answers := crowd(50, func(n int) answer {
			if n == 0 {
				return b.submit(apps, "end", "other")
			}
			return s.at(b, authorizePath("other", "prompt", "none"))
		})
		if answers[0].status != http.StatusSeeOther {
			t.Errorf("%d %s", answers[0].status, answers[0].body)
		}
		for _, code := range codesOf(t, answers[1:], "consent_required") {
			a := s.token(form("client_id", "other", "client_secret", secret, "grant_type", "authorization_code", "code", code, "redirect_uri", callback))
			if a.status != http.StatusBadRequest {
				t.Errorf("a code outlives the withdrawal: %d", a.status)
			}
		}
	}
}
