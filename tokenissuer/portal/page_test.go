package portal

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// everyPage walks a person past all pages and calls look at each.
func everyPage(t *testing.T, lang string, look func(name string, p *person)) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) { o.Codes, o.Addresses = sender, addresses{sender} })
	sender.who["13800138000"] = w.ann
	w.apply(store.ExpirePassword{Account: w.create("old", right).ID})
	w.apply(store.UpdateAccount{Account: func() store.Account { a := w.ann; a.Phone = "+8613800138000"; return a }()})
	p := w.person()
	p.header.Set("Accept-Language", lang)
	at := func(name string) {
		t.Helper()
		look(name, p)
	}
	p.goes("/authorize")
	at("login")
	p.submits("/portal/login", "username", "ann", "password", "wrong")
	at("login refused")
	state := p.filled("/portal/login").Get("p_state")
	p.goes("/portal/reset?p_state=" + state)
	at("reset")
	p.submits("/portal/reset", "username", "ann@example.com")
	at("set")
	p.goes("/portal/login?done=1&p_state="+state).submits("/portal/login", "username", "old", "password", right)
	at("expired")
	p.goes("/portal/login?done=1&p_state=" + state)
	at("login after reset")
	p.submits("/portal/login", "username", "ann", "password", right)
	at("consent")
	p.send("POST", "/portal/consent", p.filled("/portal/consent", "decision", "allow"))
	at("continue")
	w.ask(func(r *Request) { r.Client, r.Prompt = "own", []string{"login"} })
	w.later(time.Second)
	p.goes("/authorize")
	p.goes("/portal/signup?p_state=" + p.stateOf())
	at("signup")
	p.submits("/portal/signup", "username", "new@example.com")
	at("open")
	p.follows("/portal/signup").submits("/portal/signup", "username", "ann@example.com")
	p.submits("/portal/signup/account", "code", "3", "new_password", "a new password").sees("/portal/signup/account", 200)
	at("taken")
	w.ask(func(r *Request) { r.Source = "sms" })
	p.goes("/authorize")
	at("login by code")
	p.submits("/portal/login", "username", "13800138000")
	at("code")
	p.submits("/portal/code", "code", "77")
	at("code refused")
	p.goes("/portal/account/email")
	at("contact")
	p.submits("/portal/account/email", "email", "new@example.com")
	at("contact code")
	p.submits("/portal/account/email/code", "code", "77")
	at("contact code refused")
	for _, path := range []string{"/portal/account?done=1", "/portal/account/password", "/portal/account/browsers", "/portal/account/apps", "/portal/logout"} {
		p.goes(path)
		at(path)
	}
	p.submits("/portal/logout")
	at("bye")
	p.goes("/portal/login?p_state=x")
	at("error")
	p.goes("/portal/nothing")
	at("not found")
}

func TestEveryPageHasItsHeaders(t *testing.T) {
	everyPage(t, "en", func(name string, p *person) {
		for header, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"X-Frame-Options":         "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8", "Content-Language": "en",
		} {
			if got := p.head.Get(header); got != want {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
	})
}

// What assistive technology and password managers need of each page.
func TestEveryPageIsBuiltForEverybody(t *testing.T) {
	completions := map[string]string{
		"login username": "username", "login password": "current-password", "login by code username": "tel", "code code": "one-time-code",
		"/portal/account/password username": "username", "/portal/account/password old_password": "current-password",
		"/portal/account/password new_password": "new-password", "/portal/account?done=1 name": "name",
		"reset username": "username", "set code": "one-time-code", "set new_password": "new-password", "set username": "username",
		"signup username": "username", "open code": "one-time-code", "open new_password": "new-password",
		"contact email": "email", "contact code code": "one-time-code",
		"expired old_password": "current-password", "expired new_password": "new-password", "expired username": "username",
	}
	everyPage(t, "en", func(name string, p *person) {
		ids, labels, heads := map[string]*html.Node{}, map[string]bool{}, 0
		for n := range p.page.Descendants() {
			if id := attr(n, "id"); id != "" {
				if ids[id] != nil {
					t.Errorf("%s: id %s twice", name, id)
				}
				ids[id] = n
			}
			if n.Data == "label" {
				labels[attr(n, "for")] = true
			}
		}
		for n := range p.page.Descendants() {
			switch n.Data {
			case "html":
				if n.Type == html.ElementNode && attr(n, "lang") != "en" {
					t.Errorf("%s: lang %q", name, attr(n, "lang"))
				}
			case "h1":
				heads++
			case "script", "style", "iframe", "object":
				t.Errorf("%s: <%s>", name, n.Data)
			case "input":
				kind, id := attr(n, "type"), attr(n, "name")
				if kind == "hidden" {
					continue
				}
				if _, hidden := property(n, "hidden"); !hidden && !labels[id] {
					t.Errorf("%s: %s has no label", name, id)
				}
				if attr(n, "autocomplete") == "" {
					t.Errorf("%s: %s says nothing to password managers", name, id)
				}
				if want := completions[name+" "+id]; want != "" {
					if got := attr(n, "autocomplete"); got != want {
						t.Errorf("%s: %s completes %q, want %q", name, id, got, want)
					}
					delete(completions, name+" "+id)
				}
				if kind == "password" && attr(n, "value") != "" {
					t.Errorf("%s: a password on the page", name)
				}
			case "form":
				if attr(n, "method") != "post" || !strings.HasPrefix(attr(n, "action"), "/portal/") {
					t.Errorf("%s: form %s %s", name, attr(n, "method"), attr(n, "action"))
				}
			}
			for _, a := range n.Attr {
				switch {
				case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
					t.Errorf("%s: %s=%q", name, a.Key, a.Val)
				case a.Key == "aria-describedby":
					for id := range strings.FieldsSeq(a.Val) {
						if ids[id] == nil {
							t.Errorf("%s: described by %s, which is not there", name, id)
						}
					}
				case a.Key == "href" && strings.HasPrefix(a.Val, "#") && ids[a.Val[1:]] == nil:
					t.Errorf("%s: %s leads nowhere", name, a.Val)
				case (a.Key == "href" || a.Key == "src") && !strings.HasPrefix(a.Val, "/portal/") && !strings.HasPrefix(a.Val, "#"):
					t.Errorf("%s: leads to %s", name, a.Val)
				}
			}
		}
		if heads != 1 {
			t.Errorf("%s: %d headings of the first rank", name, heads)
		}
		if strings.HasSuffix(name, "refused") {
			if n := ids["problem"]; n == nil || attr(n, "role") != "alert" || !strings.Contains(p.body, `aria-invalid="true"`) || !strings.Contains(p.body, "<title>Problem: ") {
				t.Errorf("%s: the problem is not announced", name)
			}
		}
	})
	if len(completions) > 0 {
		t.Errorf("not seen: %v", completions)
	}
}

func property(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// A key that a page names and no catalog has would show as itself.
const attack = `"><script>alert(1)</script><img src=x onerror=alert(1)>'`

func TestMarkupIsText(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Name = attack
		o.Scopes = map[string]string{"orders:read": attack}
	})
	w.ask(func(r *Request) { r.Client, r.LoginHint, r.Locales = "markup", attack, []string{attack} })
	pages := 0
	look := func(p *person) {
		pages++
		for n := range p.page.Descendants() {
			_, handler := property(n, "onerror")
			if n.Data == "script" || n.Data == "img" || handler {
				t.Errorf("%s has <%s>", p.at.Path, n.Data)
			}
		}
	}
	p := w.person()
	p.goes("/authorize")
	look(p)
	if got := p.filled("/portal/login").Get("username"); got != attack {
		t.Errorf("the hint is %q", got)
	}
	p.submits("/portal/login", "username", attack, "password", attack)
	look(p)
	p.submits("/portal/login", "username", "ann", "password", right)
	look(p)
	p.send("POST", "/portal/consent", p.filled("/portal/consent", "decision", "allow"))
	look(p)
	p.goes("/portal/account").submits("/portal/account", "name", attack, "nickname", attack)
	look(p)
	p.goes("/portal/account/apps")
	look(p)
	for _, path := range []string{"/portal/login?p_state=", "/portal/account?lang=", "/portal/logout?done=", "/portal/"} {
		p.goes(path + url.QueryEscape(attack))
		look(p)
	}
	if pages != 10 {
		t.Errorf("%d pages", pages)
	}
}

func TestFailIsAPage(t *testing.T) {
	w := newWorld(t, nil)
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.p.Fail(rw, r, noon, http.StatusBadRequest, oauth.UnknownAuthClient)
	})
	p := w.person().goes("/oauth2/authorize?client_id=" + url.QueryEscape(attack) + "&lang=zh")
	p.sees("/oauth2/authorize", 400, "您使用的应用不存在或已停用", "unknown_client")
	if p.head.Get("Content-Security-Policy") != pagePolicy || strings.Contains(p.body, "<script") || strings.Contains(p.body, "alert(") {
		t.Errorf("%v\n%s", p.head, p.body)
	}
}

// An error is read in another language by asking once more, where that does
// nothing: the same query, but for tokens, which no page repeats.
func TestErrorsCanBeReadInEveryLanguage(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person()
	other := func(t *testing.T) string {
		t.Helper()
		for n := range p.page.Descendants() {
			if attr(n, "hreflang") == "zh-Hans" {
				return attr(n, "href")
			}
		}
		return ""
	}
	for _, c := range []struct {
		path, link, text string
		status           int
	}{
		{"/portal/nothing", "/portal/nothing?lang=zh", "页面不存在", 404},
		{"/portal/login?p_state=x&lang=en", "/portal/login?p_state=x&lang=zh", "该页面已过期", 400},
		{"/portal/login?p_state=x&p_state=y", "/portal/login?p_state=x&p_state=y&lang=zh", "提交的内容与当前页面不符", 400},
		{"/portal/login?p_state=%20z&id_token_hint=ey&client_secret=s", "/portal/login?p_state=%20z&lang=zh", "该页面已过期", 400},
		{"/portal/%3Ch1%3E//evil.example/", "/portal/%3Ch1%3E//evil.example/?lang=zh", "页面不存在", 404},
	} {
		p.once("GET", c.path, nil)
		if got := other(t); got != c.link || p.status != c.status {
			t.Errorf("%s, %d: the link is %q, want %q", c.path, p.status, got, c.link)
			continue
		}
		p.once("GET", other(t), nil)
		if p.sees(p.at.Path, c.status, c.text); !strings.Contains(p.body, `href="/portal/account?lang=zh"`) {
			t.Errorf("%s: the choice is lost on the way on", c.path)
		}
	}
	p.goes("/authorize")
	p.send("POST", "/portal/login", url.Values{"form_token": {"x"}}).sees("/portal/login", 403)
	if got := other(t); got != "" {
		t.Errorf("a form is not sent again by %s", got)
	}
	p.goes("/authorize")
	form := p.filled("/portal/login", "form_token", "x")
	p.send("POST", "/portal/login", form).sees("/portal/login", 403)
	if p.goes(other(t)); p.status != 200 || !strings.Contains(p.body, "登录") {
		t.Errorf("the page of the form: %d at %s", p.status, p.at)
	}
	_, state, _ := w.finished()
	if p.goes("/portal/login?p_state=" + state); other(t) != "/portal/login?p_state="+state+"&lang=zh" {
		t.Errorf("finished: %s", other(t))
	}
}

// The colours of the style sheet itself, in both schemes.
func TestOptionsThatAreWrong(t *testing.T) {
	big := filepath.Join(t.TempDir(), "logo.png")
	if err := os.WriteFile(big, make([]byte, maxLogo+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"color":       func(o *Options) { o.Color = "green" },
		"locale":      func(o *Options) { o.Locales = []string{"en", "../en"} },
		"logo":        func(o *Options) { o.Logo = "/etc/passwd" },
		"logo gone":   func(o *Options) { o.Logo = big + ".png" },
		"logo size":   func(o *Options) { o.Logo = big },
		"key":         func(o *Options) { o.Key = o.Key[1:] },
		"no key":      func(o *Options) { o.Key = nil },
		"issuer":      func(o *Options) { o.Issuer = "https://[" },
		"no locale":   func(o *Options) { o.Locales = []string{""} },
		"locale case": func(o *Options) { o.Locales = []string{"EN"} },
	} {
		o := Options{Issuer: "https://auth.example.com", Key: make([]byte, 32)}
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Every password source of a client is one line, told apart by its name.
func TestTwoPasswordSourcesAreToldApart(t *testing.T) {
	registry, err := client.NewRegistry([]client.Registration{{ID: "shop", Type: client.Web, Sources: []string{"staff", "guests"}}}, false, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) {
		o.Sources = append(o.Sources, account.Source{ID: "guests", Identifiers: []store.IdentifierKind{store.ByEmail}})
		o.Clients = registry.Client
	})
	p := w.person().goes("/authorize")
	p.sees("/portal/login", 200, "Sign in with a password (guests)", "You will go on to shop.")
	i := slices.IndexFunc(slices.Collect(p.page.Descendants()), func(n *html.Node) bool { return strings.Contains(attr(n, "href"), "source=guests") })
	if i < 0 {
		t.Fatal("no link")
	}
	p.goes(attr(slices.Collect(p.page.Descendants())[i], "href")).sees("/portal/login", 200, "E-mail address", "(staff)")
	if !strings.Contains(p.body, `inputmode="email"`) {
		t.Error("the keyboard is not that of addresses")
	}
	p.submits("/portal/login", "username", "ann", "password", right).sees("/portal/login", 400, "Sign in with your e-mail address.")
	p.submits("/portal/login", "username", "ann@example.com", "password", right).sees("/portal/consent", 200)
}

func TestFormPostWorksWithAndWithoutItsScript(t *testing.T) {
	w := newWorld(t, nil)
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if err := w.p.PostBack(rw, r, Request{Client: "shop", RedirectURI: "myapp:/back?a=1&b=2", Locales: []string{"zh-CN"}}, [][2]string{{"code", "c"}, {"state", attack + "\r\n"}}); err != nil {
			t.Error(err)
		}
	})
	p := w.person()
	for query, button := range map[string]string{"?lang=en": "One moment Go on to The Shop", "": "请稍候 前往 The Shop"} {
		if p.once("GET", "/oauth2/authorize"+query, nil); !strings.Contains(strings.Join(strings.Fields(textOf(p.page)), " "), button) {
			t.Errorf("%q: %s", query, p.body)
		}
	}
	form := p.filled("myapp:/back?a=1&b=2")
	if form.Get("code") != "c" || form.Get("state") != attack+"\r\n" && form.Get("state") != attack+"\n" {
		t.Errorf("%q", form)
	}
	scripts, buttons := 0, 0
	for n := range p.page.Descendants() {
		switch n.Data {
		case "script":
			scripts++
			sum := sha256.Sum256([]byte(n.FirstChild.Data))
			if hash := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(p.head.Get("Content-Security-Policy"), "script-src 'sha256-"+hash+"';") {
				t.Errorf("the policy does not allow %q", n.FirstChild.Data)
			}
		case "button":
			buttons++
		}
	}
	if scripts != 1 || buttons != 1 || p.head.Get("X-Frame-Options") != "DENY" || p.head.Get("Cache-Control") != "no-store" {
		t.Errorf("%d scripts, %d buttons, %v", scripts, buttons, p.head)
	}
}
