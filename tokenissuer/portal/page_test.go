package portal

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
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
	w.ask(func(r *Request) { r.Source = "sms" })
	p.goes("/authorize")
	at("login by code")
	p.submits("/portal/login", "username", "13800138000")
	at("code")
	p.submits("/portal/code", "code", "77")
	at("code refused")
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

func TestCatalogsSayTheSameThings(t *testing.T) {
	files, err := filepath.Glob("words/*.json")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	verbs := regexp.MustCompile(`%(\[\d\])?[a-z]`)
	arguments := func(text string) int { return len(verbs.FindAllString(text, -1)) }
	l, err := newLanguages([]string{"en", "zh"})
	if err != nil || len(files) != len(l.all) {
		t.Fatal(files, err)
	}
	en := l.all[0]
	for _, other := range l.all[1:] {
		for key, text := range en.text {
			switch theirs, ok := other.text[key]; {
			case !ok:
				t.Errorf("%s lacks %s", other.code, key)
			case strings.TrimSpace(theirs) == "" || arguments(theirs) != arguments(text):
				t.Errorf("%s: %s is %q, in English %q", other.code, key, theirs, text)
			}
		}
		for key := range other.text {
			if _, ok := en.text[key]; !ok {
				t.Errorf("English lacks %s", key)
			}
		}
	}
}

// A key that a page names and no catalog has would show as itself.
func TestEveryTextIsInTheCatalogs(t *testing.T) {
	key := regexp.MustCompile(`\b(title|login|code|consent|scope|continue|logout|bye|profile|password|browsers|apps|device|error|menu|done|kind)\.[a-z_]+|%!`)
	latin := regexp.MustCompile(`[A-Za-z]{4,}`)
	for lang, code := range map[string]string{"en": "en", "zh-CN": "zh-Hans"} {
		everyPage(t, lang, func(name string, p *person) {
			if p.head.Get("Content-Language") != code {
				t.Errorf("%s: %s in %s", name, p.head.Get("Content-Language"), lang)
			}
			text := textOf(p.page)
			if found := key.FindString(text); found != "" {
				t.Errorf("%s in %s: %s", name, lang, found)
			}
			if code == "en" {
				return
			}
			for _, own := range []string{"Example", "The Shop", "Ours", "English", "example.com", "app.example", "Firefox", "Linux", "See your orders", "Cookie", "Asia/Shanghai", "p_state_of_another_browser", "unknown_endpoint", "staff"} {
				text = strings.ReplaceAll(text, own, "")
			}
			if found := latin.FindString(text); found != "" {
				t.Errorf("%s is English in Chinese: %q", name, found)
			}
		})
	}
	for reason, a := range answers {
		if newWords(t, "en").first(a.text) == "" {
			t.Errorf("%s: no text %s", reason, a.text)
		}
	}
}

func newWords(t *testing.T, code string) *words {
	t.Helper()
	l, err := newLanguages([]string{code})
	if err != nil {
		t.Fatal(err)
	}
	return l.all[0]
}

func TestLanguage(t *testing.T) {
	for _, c := range []struct {
		offered, lang, asked, header, want string
	}{
		{"en zh", "", "", "", "en"},
		{"zh en", "", "", "", "zh"},
		{"en zh", "", "", "zh-CN,zh;q=0.9,en;q=0.8", "zh"},
		{"en zh", "", "", "fr-FR,zh-TW;q=0.5", "zh"},
		{"zh en", "", "", "fr-FR", "zh"},
		{"zh en", "", "", "en-GB", "en"},
		{"en zh", "", "zh-Hans fr", "en", "zh"},
		{"en zh", "", "xx", "zh", "zh"},
		{"en zh", "en", "zh", "zh", "en"},
		{"en zh", "fr", "zh", "", "zh"},
		{"en", "zh", "zh", "zh", "en"},
		{"en zh", "", "", strings.Repeat("zh,", 5000), "zh"},
		{"en zh", "", "", ";;;q=", "en"},
		{"en zh", "", strings.Repeat("a", 5000), "zh", "zh"},
	} {
		l, err := newLanguages(strings.Fields(c.offered))
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Header: http.Header{"Accept-Language": {c.header}}}
		if got := l.pick(c.lang, strings.Fields(c.asked), r); got.code != c.want {
			t.Errorf("%+v: %s", c, got.code)
		}
	}
}

func TestChosenLanguageStaysOnTheWay(t *testing.T) {
	w := newWorld(t, nil)
	w.ask(func(r *Request) { r.Locales = []string{"en"} })
	p := w.person().goes("/authorize")
	p.sees("/portal/login", 200, "Sign in", "中文")
	for n := range p.page.Descendants() {
		if attr(n, "hreflang") == "zh-Hans" {
			p.goes(attr(n, "href"))
			break
		}
	}
	p.sees("/portal/login", 200, "登录后前往 The Shop")
	p.submits("/portal/login", "username", "ann", "password", right).sees("/portal/consent", 200, "确认您的身份")
}

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
		w.p.Fail(rw, r, noon, http.StatusBadRequest, oauth.UnknownClient)
	})
	p := w.person().goes("/oauth2/authorize?client_id=" + url.QueryEscape(attack) + "&lang=zh")
	p.sees("/oauth2/authorize", 400, "您使用的应用不存在或已停用", "unknown_client")
	if p.head.Get("Content-Security-Policy") != pagePolicy || strings.Contains(p.body, "alert") {
		t.Errorf("%v\n%s", p.head, p.body)
	}
}

func TestColorsCanBeRead(t *testing.T) {
	for _, c := range []struct{ color, text string }{
		{"#000", "#ffffff"}, {"#fff", "#000000"}, {"#0a5", "#000000"}, {"#00AA55", "#000000"}, {DefaultColor, "#ffffff"}, {"#767676", "#000000"}, {"#f00", "#000000"}, {"#00f", "#ffffff"},
	} {
		got, err := parseColor(c.color)
		if err != nil || got.text() != c.text {
			t.Errorf("%s: text %s, %v", c.color, got.text(), err)
		}
	}
	for v := range 16 * 16 * 16 {
		c := rgb{uint8(v >> 8 * 17), uint8(v >> 4 & 15 * 17), uint8(v & 15 * 17)}
		text, err := parseColor(c.text())
		if err != nil || contrast(c, text) < 4.5 {
			t.Fatalf("%s on %s", text, c)
		}
	}
	for _, bad := range []string{"", "red", "#12", "#12345", "#gggggg", "0a5", "#0a5;}body{display:none", "#00aa55ff"} {
		if _, err := parseColor(bad); err == nil && bad != "" {
			t.Errorf("%q is a colour", bad)
		}
	}
}

// The colours of the style sheet itself, in both schemes.
func TestStyleSheetHasContrast(t *testing.T) {
	light, dark, ok := strings.Cut(styleSheet, "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark scheme")
	}
	dark, _, _ = strings.Cut(dark, "* {")
	variable := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]+);`)
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		colors := map[string]rgb{}
		for _, m := range variable.FindAllStringSubmatch(text, -1) {
			c, err := parseColor(m[2])
			if err != nil {
				t.Fatal(err)
			}
			colors[m[1]] = c
		}
		for _, c := range []struct {
			text, back string
			least      float64
		}{
			{"ink", "paper", 7},
			{"ink", "back", 7},
			{"soft", "paper", 4.5},
			{"soft", "back", 4.5},
			{"link", "paper", 4.5},
			{"link", "back", 4.5},
			{"wrong", "paper", 4.5},
			{"wrong", "wrong-back", 4.5},
			{"good", "good-back", 4.5},
			{"good", "paper", 4.5},
			{"line", "paper", 3},
		} {
			if got := contrast(colors[c.text], colors[c.back]); got < c.least {
				t.Errorf("%s: %s on %s has %.2f, want %v", scheme, c.text, c.back, got, c.least)
			}
		}
	}
}

func TestStyleAndLogoMayBeKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "logo.svg")
	if err := os.WriteFile(file, []byte("<svg/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) { o.Logo, o.Color = file, "#0a5" })
	p := w.person().goes("/authorize")
	found := 0
	for n := range p.page.Descendants() {
		address := attr(n, "src")
		if attr(n, "rel") == "stylesheet" {
			address = attr(n, "href")
		}
		if address == "" {
			continue
		}
		found++
		asset := w.person()
		asset.once("GET", address, nil)
		if asset.status != 200 || asset.head.Get("Cache-Control") != "public, max-age=31536000, immutable" || asset.head.Get("X-Content-Type-Options") != "nosniff" ||
			asset.head.Get("Set-Cookie") != "" || !strings.Contains(asset.head.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %d %v", address, asset.status, asset.head)
		}
		if strings.HasSuffix(asset.at.Path, ".css") && (!strings.Contains(asset.body, "--brand: #00aa55;") || strings.Contains(asset.body, "BRAND")) {
			t.Errorf("the colour is not in the style sheet")
		}
		asset.once("GET", asset.at.Path+"?v=old", nil)
		if asset.head.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s, old: %v", address, asset.head)
		}
	}
	if found != 2 {
		t.Errorf("%d assets", found)
	}
}

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

func TestCookies(t *testing.T) {
	w := newWorld(t, nil)
	set := func(p *person) []*http.Cookie { return (&http.Response{Header: p.head}).Cookies() }
	p := w.person()
	p.once("GET", "/authorize", nil)
	cookies := set(p)
	p.goes(p.head.Get("Location"))
	p.once("POST", "/portal/login", p.filled("/portal/login", "username", "ann", "password", right))
	cookies = append(cookies, set(p)...)
	if len(cookies) != 2 {
		t.Fatalf("cookies: %v", cookies)
	}
	for i, name := range []string{"__Host-gatehouse-browser", "__Host-gatehouse"} {
		c := cookies[i]
		if c.Name != name || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 {
			t.Errorf("%s", c.Raw)
		}
		if raw, err := encoding.DecodeString(c.Value); err != nil || len(raw) != 32 {
			t.Errorf("%s has %d bytes", c.Name, len(raw))
		}
	}
	plain, err := New(Options{Issuer: "http://localhost:8080", Key: make([]byte, 32)})
	if err != nil || plain.cookieName(sessionCookie) != "gatehouse" {
		t.Errorf("on http: %v", err)
	}
}

func TestDevice(t *testing.T) {
	for agent, want := range map[string]string{
		firefox: "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0":                                "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15":                                        "Safari on macOS",
		"Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36":                                       "Chrome on Android",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1":                       "Chrome on iPhone",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.60(0x18003c2f) NetType/WIFI": "WeChat on iPhone",
		"curl/8.5.0":                     "",
		"":                               "",
		`<script>alert(1)</script>Linux`: "Linux",
		strings.Repeat("x", 600) + "Firefox/1 Linux": "",
	} {
		if got := device(agent); got != want {
			t.Errorf("%s: %q, want %q", agent, got, want)
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
	p.sees("/portal/login", 200, "Sign in with a password (guests)", "to go on to shop")
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
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if err := w.p.PostBack(rw, "myapp:/back?a=1&b=2", [][2]string{{"code", "c"}, {"state", attack + "\r\n"}}); err != nil {
			t.Error(err)
		}
	})
	p := w.person()
	p.once("GET", "/oauth2/authorize", nil)
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
