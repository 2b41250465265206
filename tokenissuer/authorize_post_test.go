package tokenissuer_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// post sends an authorization request as a form of a page does, with what the
// browser says about that page.
func (b *browser) post(body string, headers ...string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "https://auth.example.com/oauth2/authorize", strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for n := 0; n < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	res, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	return answer{status: res.StatusCode, header: res.Header}
}

func posted(client string, more ...string) string {
	_, query, _ := strings.Cut(authorizePath(client, more...), "?")
	return query
}

// A page of another site posts without the cookies that are SameSite=Lax, so the
// browser is told to ask once more by GET, which has them.
func TestPostedRequestOfAnotherSiteIsAskedAgainByGet(t *testing.T) {
	s := start(t, authorizing())
	s.user("alice", "")
	body := posted("shop", "nonce", "n", "prompt", "none", "login_hint", "a b&c", "claims", `{"id_token":{"auth_time":null}}`)
	for name, headers := range map[string][]string{
		"fetch metadata": {"Sec-Fetch-Site", "cross-site", "Origin", "https://shop.example.com"},
		"older":          {"Origin", "https://shop.example.com"},
		"no referrer":    {"Origin", "null"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.browser().post(body+"&client_secret=never&unknown=1", headers...)
			to, err := url.Parse(a.header.Get("Location"))
			if err != nil || a.status != http.StatusSeeOther || a.header.Get("Set-Cookie") != "" || a.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %v", a.status, a.header)
			}
			want, err := url.ParseQuery(body)
			if err != nil {
				t.Fatal(err)
			}
			if to.Query().Encode() != want.Encode() || !strings.HasPrefix(to.String(), "https://auth.example.com/oauth2/authorize?") {
				t.Errorf("%s\nwant %s", to.Query().Encode(), want.Encode())
			}
			b := s.browser()
			b.signedIn(authorizePath("shop"), "alice")
			if again := b.get(to.String()); !strings.HasPrefix(again.header.Get("Location"), callback+"?code=") {
				t.Errorf("by GET: %d %v", again.status, again.header)
			}
		})
	}
}

func TestPostedRequestsThatAreAnsweredAtOnce(t *testing.T) {
	s := start(t, authorizing())
	foreign := []string{"Sec-Fetch-Site", "cross-site"}
	for _, c := range []struct {
		name, body string
		headers    []string
		status     int
		location   string
	}{
		{"our own page", posted("shop"), []string{"Sec-Fetch-Site", "same-origin"}, http.StatusFound, "https://auth.example.com/portal/login?p_state="},
		{"the same site, which has the cookies", posted("shop"), []string{"Sec-Fetch-Site", "same-site"}, http.StatusFound, "https://auth.example.com/portal/login?p_state="},
		{"no browser", posted("shop"), nil, http.StatusFound, "https://auth.example.com/portal/login?p_state="},
		{"an address too long", posted("shop", "nonce", strings.Repeat("%", 4096)), foreign, http.StatusFound, "https://auth.example.com/portal/login?p_state="},
		{"a redirect_uri that is not registered", strings.Replace(posted("shop"), "callback", "elsewhere", 1), foreign, http.StatusBadRequest, ""},
		{"a client that nobody knows", strings.Replace(posted("shop"), "client_id=shop", "client_id=nobody", 1), foreign, http.StatusBadRequest, ""},
		{"a scope that is not registered", strings.Replace(posted("shop"), "scope=openid", "scope=admin", 1), foreign, http.StatusSeeOther, callback + "?error=invalid_scope&"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.browser().post(c.body, c.headers...)
			if to := a.header.Get("Location"); a.status != c.status || !strings.HasPrefix(to, c.location) || c.location == "" && to != "" {
				t.Errorf("%d %s", a.status, to)
			}
		})
	}
}
