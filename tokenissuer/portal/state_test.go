package portal

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// stateOf is the p_state in the address of the page.
func (p *person) stateOf() string {
	p.t.Helper()
	state := p.at.Query().Get("p_state")
	if state == "" {
		p.t.Fatalf("no p_state in %s", p.at)
	}
	return state
}

func TestStateOfAnotherBrowserIsNoise(t *testing.T) {
	w := newWorld(t, nil)
	state := w.person().goes("/authorize").stateOf()
	for _, path := range []string{"/portal/login", "/portal/consent", "/portal/continue", "/portal/return", "/portal/code"} {
		stranger := w.person()
		stranger.goes("/authorize").goes(path+"?p_state="+state).sees(path, 400, "start again")
		if stranger.goes(path + "?p_state=" + state); strings.Contains(stranger.body, "Shop") {
			t.Errorf("%s names the app", path)
		}
		w.person().goes(path+"?p_state="+state).sees(path, 400, "start again", "Cookies")
	}
	// Nor can a signed-in stranger finish what this browser began.
	stranger := w.person().signsIn("ann", right)
	stranger.goes("/portal/return?p_state="+state).sees("/portal/return", 400, "start again")
}

func TestChangedStateIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person().goes("/authorize")
	state := p.stateOf()
	for i := 0; i < len(state); i += 1 + len(state)/40 {
		c := byte('A')
		if state[i] == c {
			c = 'B'
		}
		p.goes("/portal/login?p_state="+state[:i]+string(c)+state[i+1:]).sees("/portal/login", 400, "start again")
	}
	for _, bad := range []string{"x", state[1:], state[:len(state)-1], state + "A", state + "%00", "%ff", strings.Repeat("A", 12000)} {
		p.goes("/portal/login?p_state=" + bad)
		p.sees("/portal/login", 400)
	}
	p.goes("/portal/login?p_state="+state+"&p_state="+state).sees("/portal/login", 400)
	p.goes("/portal/login?p_state="+state).sees("/portal/login", 200)
}

func TestStateIsGoodForTenMinutes(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person().goes("/authorize")
	w.later(10*time.Minute - time.Second)
	page := p.at.String()
	p.goes(page).sees("/portal/login", 200)
	w.later(time.Second)
	form := p.filled("/portal/login", "username", "ann", "password", right)
	p.goes(page).sees("/portal/login", 400, "took too long", "Go back to the app")
	p.send("POST", "/portal/login", form).sees("/portal/login", 400, "took too long")
	if p.cookie("__Host-gatehouse") != "" {
		t.Error("signed in")
	}
}

func TestAppsStateComesBackByteForByte(t *testing.T) {
	w := newWorld(t, nil)
	for name, state := range map[string]string{
		"4 kB":         strings.Repeat("aZ9-._~ ", 512),
		"markup":       strings.Repeat(`<b>"&'</b>`, 400),
		"line ends":    strings.Repeat("\r\n\t", 1300),
		"controls":     strings.Repeat("\x01\x7f", 2048),
		"other planes": strings.Repeat("\U0001F600é中", 450),
	} {
		w.ask(func(r *Request) { r.Client, r.State, r.Nonce = "own", state, state[:len(state)/2] })
		p := w.person().signsIn("ann", right)
		p.arrives("code", "")
		if got := p.left.Query().Get("state"); got != state {
			t.Errorf("%s: %q came back", name, got)
		}
	}
}

func TestRequestThatFitsNoAddressIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	w.ask(func(r *Request) { r.State = strings.Repeat("x", 10000) })
	if p := w.person().goes("/authorize"); p.status != 418 || !strings.Contains(p.body, oauth.InvalidRequest) {
		t.Errorf("%d %s", p.status, p.body)
	}
}

// finished is a person whose app has got the code of a p_state, and the form that
// she signed in with.
func (w *world) finished() (*person, string, url.Values) {
	w.t.Helper()
	p := w.person().goes("/authorize")
	state, form := p.stateOf(), p.filled("/portal/login", "username", "ann", "password", right)
	p.send("POST", "/portal/login", form).refresh().allows().arrives("code", w.ann.ID)
	return p, state, form
}

func TestStateIsGoodForOneAnswer(t *testing.T) {
	w := newWorld(t, nil)
	p, state, form := w.finished()
	w.fetched = true
	p.goes("/authorize").arrives("code", w.ann.ID) // the session suffices, and has no p_state
	for _, path := range []string{"/portal/login", "/portal/consent", "/portal/reset", "/portal/return"} {
		p.goes(path+"?p_state="+state).refresh().sees(path, 400, "done already", "Go back to it")
	}
	p.goes("/portal/continue?p_state="+state).refresh().sees("/portal/return", 400, "done already")
	w.later(repeatFor)
	p.goes("/portal/continue?p_state="+state).sees("/portal/continue", 400, "done already")
	// Nor is a form of it any good, whoever sends it.
	p.send("POST", "/portal/login", form).sees("/portal/login", 400, "done already")
	p.goes("/portal/logout").submits("/portal/logout")
	p.goes("/portal/return?p_state="+state).sees("/portal/return", 400, "done already")
}

// The link is pressed while the page goes on by itself: the browser reads the
// second answer alone.
func TestPressingTwiceGivesTheSameAnswer(t *testing.T) {
	w := newWorld(t, nil)
	p, state, _ := w.finished()
	w.later(repeatFor - time.Second)
	p.goes("/portal/return?p_state="+state).arrives("code", w.ann.ID)
	p.goes("/portal/continue?p_state="+state).refresh().arrives("code", w.ann.ID)
	w.later(time.Second)
	p.goes("/portal/return?p_state="+state).sees("/portal/return", 400, "done already")
}

func TestNoIsAnAnswerToo(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person().signsIn("ann", right)
	state, form := p.stateOf(), p.filled("/portal/consent", "decision", "deny")
	p.send("POST", "/portal/consent", form).refresh().arrives("error", AccessDenied)
	w.fetched = true
	p.goes("/portal/consent?p_state="+state).sees("/portal/consent", 400, "done already")
	form.Set("decision", "allow")
	p.send("POST", "/portal/consent", form).sees("/portal/consent", 400, "done already")
	if given, err := w.st.ConsentsOf(t.Context(), w.ann.ID); err != nil || len(given) != 0 {
		t.Errorf("consent: %v %v", given, err)
	}
}

// A sign-in that nobody finishes leaves nothing behind.
func TestUnfinishedRequestsAreStoredNowhere(t *testing.T) {
	w := newWorld(t, nil)
	seen := map[string]bool{}
	for range 500 {
		p := w.person()
		p.once("GET", "/authorize", nil)
		to, err := url.Parse(p.head.Get("Location"))
		if err != nil || p.status != 302 || !strings.HasPrefix(p.head.Get("Location"), w.server.URL+"/portal/login?p_state=") {
			t.Fatalf("%d %s", p.status, p.head.Get("Location"))
		}
		for _, once := range []string{to.Query().Get("p_state"), p.cookie("__Host-gatehouse-browser")} {
			if seen[once] || once == "" {
				t.Fatalf("%q twice", once)
			}
			seen[once] = true
		}
	}
	if n := len(w.sessions(w.ann.ID)); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func FuzzStateIsOursOrNothing(f *testing.F) {
	sealer, err := newSealer(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	p := &Portal{sealer: sealer}
	good, err := p.seal("browser", pending{Request: Request{Client: "shop"}, Expires: noon.Add(time.Minute)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, "browser")
	f.Add(good, "other")
	f.Add(good[:40], "browser")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, raw, of string) {
		x, err := p.open(browser(of), noon, raw)
		if ours := raw == good && of == "browser"; (err == nil) != ours || ours && x.Request.Client != "shop" {
			t.Errorf("%q of %q: %v", raw, of, err)
		}
	})
}
