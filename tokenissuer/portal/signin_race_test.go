package portal

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// posts sends one form of a browser several times at once, and returns the session
// cookies it was answered with: none where too many passwords wait already.
func (p *person) posts(times int, form string) (cookies []string) {
	p.t.Helper()
	var all sync.WaitGroup
	answers := make([]*httptest.ResponseRecorder, times)
	begin := make(chan struct{})
	for n := range answers {
		r := httptest.NewRequest(http.MethodPost, p.server.URL+"/portal/login", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		for _, c := range p.http.Jar.Cookies(p.at) {
			r.AddCookie(c)
		}
		answers[n] = httptest.NewRecorder()
		all.Go(func() {
			<-begin
			p.serve(answers[n], r)
		})
	}
	close(begin)
	all.Wait()
	for _, a := range answers {
		if a.Code == http.StatusServiceUnavailable {
			continue
		}
		if a.Code != http.StatusSeeOther || !strings.HasPrefix(a.Header().Get("Location"), "/portal/continue") {
			p.t.Errorf("%d %v", a.Code, a.Header())
		}
		for _, c := range a.Result().Cookies() {
			if c.Name == "__Host-gatehouse" {
				cookies = append(cookies, c.Value)
			}
		}
	}
	return cookies
}

// Whichever of the answers the browser keeps, it is signed in, and there is one
// session of the form.
func TestOneFormBeginsOneSession(t *testing.T) {
	for name, before := range map[string]func(*person){
		"nobody before":        func(*person) {},
		"the same person":      func(p *person) { p.signsIn("ann", right) },
		"somebody else before": func(p *person) { p.signsIn("bob", "another password") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			bob := w.create("bob", "another password")
			p := w.person()
			before(p)
			w.later(time.Minute)
			w.ask(func(r *Request) { r.Prompt = []string{"login"} })
			form := p.goes("/authorize").filled("/portal/login", "username", "ann", "password", right).Encode()
			cookies := p.posts(50, form)
			if all := len(cookies); all < 2 || len(slices.Compact(cookies)) != 1 {
				t.Fatalf("of %d cookies: %q, want one", all, slices.Compact(cookies))
			}
			s := w.sessions(w.ann.ID)
			if len(s) != 1 || s[0].Hash != hashOf(cookies[0]) || len(w.sessions(bob.ID)) != 0 {
				t.Errorf("sessions: %+v", s)
			}
			// The form again, after the end of what it began: the cookie stays dead.
			w.apply(store.EndSessionByID{ID: s[0].ID, Account: w.ann.ID})
			if again := p.posts(1, form); len(again) != 1 || again[0] == cookies[0] {
				t.Errorf("cookies %q after %q has ended", again, cookies[0])
			}
		})
	}
}
