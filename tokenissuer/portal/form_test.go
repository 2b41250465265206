package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// A form that another site makes a browser send, or that was changed on the way.
func TestForeignFormsDoNothing(t *testing.T) {
	w := newWorld(t, nil)
	other := w.person().goes("/authorize")
	othersToken := other.filled("/portal/login").Get("form_token")
	for _, c := range []struct {
		name   string
		header http.Header
		change func(url.Values)
		status int
	}{
		{"from another site", http.Header{"Sec-Fetch-Site": {"cross-site"}}, nil, 403},
		{"from another site, a field more", http.Header{"Sec-Fetch-Site": {"cross-site"}}, func(f url.Values) { f.Set("redirect_uri", "https://evil.example") }, 403},
		{"from another site, another type", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Content-Type": {"text/plain"}}, nil, 403},
		{"from a sister site", http.Header{"Sec-Fetch-Site": {"same-site"}}, nil, 403},
		{"from another origin, old browser", http.Header{"Sec-Fetch-Site": nil, "Origin": {"https://evil.example"}}, nil, 403},
		{"no token", nil, func(f url.Values) { f.Del("form_token") }, 403},
		{"no token, from nowhere", http.Header{"Sec-Fetch-Site": nil, "Origin": {"null"}}, func(f url.Values) { f.Del("form_token") }, 403},
		{"no token, no header", http.Header{"Sec-Fetch-Site": nil, "Origin": nil}, func(f url.Values) { f.Del("form_token") }, 403},
		{"another browser's token", nil, func(f url.Values) { f.Set("form_token", othersToken) }, 403},
		{"a token of nothing", nil, func(f url.Values) { f.Set("form_token", strings.Repeat("A", 64)) }, 403},
		{"a field more", nil, func(f url.Values) { f.Set("redirect_uri", "https://evil.example") }, 400},
		{"a field twice", nil, func(f url.Values) { f.Add("username", "bob") }, 400},
		{"no p_state", nil, func(f url.Values) { f.Del("p_state") }, 400},
		{"another type", http.Header{"Content-Type": {"text/plain"}}, nil, 400},
		{"too much", nil, func(f url.Values) { f.Set("password", strings.Repeat("x", 70<<10)) }, 413},
	} {
		p := w.person().goes("/authorize")
		form := p.filled("/portal/login", "username", "ann", "password", right)
		if c.change != nil {
			c.change(form)
		}
		p.header = c.header
		p.send("POST", "/portal/login", form)
		if p.status != c.status || p.cookie("__Host-gatehouse") != "" {
			t.Errorf("%s: %d, want %d, signed in %v", c.name, p.status, c.status, p.cookie("__Host-gatehouse") != "")
		}
	}
	for name, header := range map[string]http.Header{
		"old browser, no referrer": {"Sec-Fetch-Site": nil, "Origin": {"null"}},
		"old browser":              {"Sec-Fetch-Site": nil, "Origin": {w.server.URL}},
		"no header at all":         {"Sec-Fetch-Site": nil, "Origin": nil},
	} {
		p := w.person().goes("/authorize")
		form := p.filled("/portal/login", "username", "ann", "password", right)
		p.header = header
		if p.send("POST", "/portal/login", form); p.status != 200 || p.at.Path != "/portal/consent" {
			t.Errorf("%s: %d at %s", name, p.status, p.at)
		}
	}
}

func TestFormWithoutCookiesSaysSo(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person().goes("/authorize")
	form := p.filled("/portal/login", "username", "ann", "password", right)
	w.person().send("POST", "/portal/login", form).sees("/portal/login", 403, "Cookies")
}

// Consent that was shown to one account is not given by the next one.
func TestFormOfAnEarlierSessionIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	bob := w.create("bob", "another password")
	p := w.person().signsIn("ann", right)
	form := p.filled("/portal/consent", "decision", "allow")
	p.goes(p.at.String()+"&x=1").goes("/portal/login?switch=1&p_state="+p.stateOf()).submits("/portal/login", "username", "bob", "password", "another password")
	p.send("POST", "/portal/consent", form).sees("/portal/consent", 403)
	for _, who := range []string{w.ann.ID, bob.ID} {
		if _, err := w.st.Consent(t.Context(), who, "shop"); err == nil {
			t.Errorf("consent of %s", who)
		}
	}
}

func TestConsentFormCannotAddScopes(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person().signsIn("ann", right)
	form := p.filled("/portal/consent", "decision", "allow", "scope", "admin")
	p.send("POST", "/portal/consent", form).sees("/portal/consent", 400)
	form.Del("scope")
	form.Set("decision", "perhaps")
	p.send("POST", "/portal/consent", form).sees("/portal/consent", 400)
	if _, err := w.st.Consent(t.Context(), w.ann.ID, "shop"); err == nil {
		t.Error("there is a consent")
	}
}

func TestConsent(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person().signsIn("ann", right)
	p.submits("/portal/consent", "decision", "deny").arrives("error", AccessDenied)
	p.goes("/authorize").sees("/portal/consent", 200) // a no is for once
	p.allows().arrives("code", w.ann.ID)

	w.ask(func(r *Request) { r.Scopes = append(r.Scopes, "email") })
	p.goes("/authorize").sees("/portal/consent", 200, "See your e-mail address")
	p.allows().arrives("code", w.ann.ID)
	given, err := w.st.Consent(t.Context(), w.ann.ID, "shop")
	if err != nil || !slices.Equal(given.Scopes, []string{"openid", "orders:read", "email"}) {
		t.Errorf("%+v, %v", given, err)
	}

	w.later(time.Second)
	w.ask(func(r *Request) { r.Prompt = []string{"consent"} })
	p.goes("/authorize").sees("/portal/consent", 200)
	p.allows().arrives("code", w.ann.ID)

	w.ask(func(r *Request) { r.Client, r.Prompt = "own", nil })
	p.goes("/authorize").arrives("code", w.ann.ID) // first_party
}

func TestPagesThatAreNotThere(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person()
	for _, path := range []string{
		"/portal/nothing", "/portal/../etc/passwd", "/portal/..%2f..%2fetc/passwd", "/portal/style.css/..%5c..%5cwords/en.json", "/portal/page/layout.html",
		"/portal/logo", "/portal/style.css%00", "/portal//login",
	} {
		if p.once("GET", path, nil); p.status != 404 {
			t.Errorf("%s: %d", path, p.status)
		}
	}
	for path, allow := range map[string]string{"/portal/continue": "GET, HEAD", "/portal/return": "GET, HEAD", "/portal": "GET, HEAD"} {
		if p.once("POST", path, url.Values{}); p.status != 405 || p.head.Get("Allow") != allow {
			t.Errorf("%s: %d, Allow %q", path, p.status, p.head.Get("Allow"))
		}
	}
	if p.once("HEAD", "/portal/return", nil); p.status != 405 || p.head.Get("Allow") != "GET" {
		t.Errorf("HEAD: %d, Allow %q", p.status, p.head.Get("Allow"))
	}
	if p.once("PUT", "/portal/login", url.Values{}); p.status != 405 || p.head.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("PUT: %d, Allow %q", p.status, p.head.Get("Allow"))
	}
}

func TestChangedCookiesCountAsNone(t *testing.T) {
	w := newWorld(t, nil)
	w.ask(func(r *Request) { r.Client = "own" })
	p := w.person().signsIn("ann", right)
	good := p.cookie("__Host-gatehouse")
	for _, bad := range []string{"", "x", good[1:], good + "A", "A" + good[1:], strings.Repeat("A", 5000), "%00", strings.ToLower(good)} {
		if bad == good {
			continue
		}
		fresh := w.person()
		fresh.header = http.Header{"Cookie": {"__Host-gatehouse=" + bad}}
		fresh.goes("/authorize")
		if fresh.left != nil || fresh.status != 400 && fresh.status != 200 { // 400: the cookie of the browser is overwritten by the header
			t.Errorf("%q: %d, left to %v", bad, fresh.status, fresh.left)
		}
	}
}

// A page stays open in one tab while the person signs out in another, and a
// button is pressed twice.
func TestFormsOfWhoHasLeftLeadOn(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right).goes("/portal/logout")
	form := p.filled("/portal/logout")
	for range 2 {
		p.send("POST", "/portal/logout", form).sees("/portal/logout", 200, "You are signed out")
	}
	for n := range p.page.Descendants() {
		if attr(n, "href") == "/portal/" {
			p.goes(attr(n, "href")).sees("/portal/login", 200)
			form = nil
			break
		}
	}
	if form != nil {
		t.Error("no way to sign in again")
	}
	p = w.person().signsIn("ann", right)
	form = p.filled("/portal/consent", "decision", "allow")
	p.goes("/portal/logout").submits("/portal/logout")
	p.send("POST", "/portal/consent", form).sees("/portal/login", 200)
	if _, err := w.st.Consent(t.Context(), w.ann.ID, "shop"); err == nil {
		t.Error("nobody has consented")
	}
}

// What ends nowhere says where to go on.
func TestEveryEndLeadsOn(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/portal/login", "/portal/code", "/portal/consent", "/portal/continue"} {
		w.person().goes(path).sees("/portal/login", 200)
	}
	for path, text := range map[string]string{"/portal/nothing": "There is no such page", "/portal/login?p_state=x": "Go back to the app"} {
		p := w.person().goes(path)
		if p.status < 400 || !strings.Contains(p.body, text) || !strings.Contains(p.body, `<a href="/portal/account">`) {
			t.Errorf("%s: %d\n%s", path, p.status, p.body)
		}
	}
	p := w.person().goes("/portal")
	w.later(pendingFor)
	p.goes(p.at.String()).sees("/portal/login", 400, "took too long", "My account")
	if strings.Contains(p.body, "Go back to the app") {
		t.Error("there is no app")
	}
}

func TestPasswordThatIsChangedTwiceIsChanged(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	w.later(time.Hour)
	form := p.goes("/portal/account/password").filled("/portal/account/password", "old_password", right, "new_password", "a new password")
	for range 2 {
		p.send("POST", "/portal/account/password", form).sees("/portal/account/password", 200, "The new password is set")
	}
	w.later(repeatFor)
	p.send("POST", "/portal/account/password", form).sees("/portal/account/password", 403)
}
