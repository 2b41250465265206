package portal

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Two tabs show the same form; the one that is saved last has not seen what the
// other wrote.
func TestStaleTabKeepsWhatAnotherWrote(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	stale := p.filled("/portal/account", "name", "Ann")
	p.submits("/portal/account", "nickname", "Annie", "zoneinfo", "Asia/Shanghai", "locale", "en")
	wrong := url.Values{}
	for name, values := range stale {
		wrong[name] = values
	}
	wrong.Set("zoneinfo", "Mars")
	p.send("POST", "/portal/account", wrong).sees("/portal/account", 400, "no time zone")
	if p.filled("/portal/account").Get("nickname") != "Annie" {
		t.Error("the form is shown again without what was written meanwhile")
	}
	p.send("POST", "/portal/account", stale).sees("/portal/account", 200, "Your changes are saved")
	got, err := w.st.Account(t.Context(), w.ann.ID)
	if err != nil || got.Name != "Ann" || got.Nickname != "Annie" || got.ZoneInfo != "Asia/Shanghai" || got.Locale != "en" {
		t.Errorf("%+v %v", got, err)
	}
	p.submits("/portal/account", "nickname", "", "zoneinfo", "")
	if got, _ := w.st.Account(t.Context(), w.ann.ID); got.Nickname != "" || got.ZoneInfo != "" || got.Name != "Ann" {
		t.Errorf("what is emptied: %+v", got)
	}
}

// Pressed twice, and more often than that, at once.
func TestProfileSavedAtOnceIsSaved(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	form := p.filled("/portal/account", "name", "Ann").Encode()
	var all sync.WaitGroup
	for range 4 {
		r := httptest.NewRequest("POST", p.server.URL+"/portal/account", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		for _, c := range p.http.Jar.Cookies(p.at) {
			r.AddCookie(c)
		}
		all.Go(func() {
			answer := httptest.NewRecorder()
			if p.serve(answer, r); answer.Code != 303 {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
		})
	}
	all.Wait()
}

// Any word has the shape of a time zone; one that nobody knows would be UTC
// without a word.
func TestTimeZoneHasToBeKnown(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	for _, zone := range []string{"Beijing", "UTC+8", "Mars/Olympus", "Local"} {
		p.submits("/portal/account", "zoneinfo", zone).sees("/portal/account", 400, "no time zone that is known")
	}
	for _, zone := range []string{"Asia/Shanghai", "UTC", ""} {
		p.submits("/portal/account", "zoneinfo", zone).sees("/portal/account", 200, "Your changes are saved")
	}
	before := w.ann // as an app may have written it: it is in nobody's way
	before.ZoneInfo = "Mars/Olympus"
	w.apply(store.UpdateAccount{Account: before})
	p.goes("/portal/account").submits("/portal/account", "name", "Ann").sees("/portal/account", 200, "Your changes are saved")
}
