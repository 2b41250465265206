package portal

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

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

func TestEveryTextIsInTheCatalogs(t *testing.T) {
	key := regexp.MustCompile(`\b(title|login|signup|code|contact|reset|set|finished|consent|scope|continue|logout|bye|profile|password|browsers|apps|device|error|menu|done|kind)\.[a-z_]+|%!`)
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
	p.sees("/portal/login", 200, "登录后将前往 The Shop")
	p.submits("/portal/login", "username", "ann", "password", right).sees("/portal/consent", 200, "确认您的身份")
}

func TestKindsOfNameAreListedAsPeopleDo(t *testing.T) {
	username, email, phone := store.ByUsername, store.ByEmail, store.ByPhone
	for _, c := range []struct {
		kinds  []store.IdentifierKind
		en, zh string
	}{
		{nil, "", ""},
		{[]store.IdentifierKind{phone}, "phone number", "手机号"},
		{[]store.IdentifierKind{email, phone}, "e-mail address or phone number", "邮箱或手机号"},
		{[]store.IdentifierKind{username, email, phone}, "username, e-mail address or phone number", "用户名、邮箱或手机号"},
	} {
		for code, want := range map[string]string{"en": c.en, "zh": c.zh} {
			if got := (&visit{words: newWords(t, code)}).list(c.kinds); got != want {
				t.Errorf("%v: %q, want %q", c.kinds, got, want)
			}
		}
	}
}
