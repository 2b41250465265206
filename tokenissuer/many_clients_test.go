package tokenissuer_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// manyClients are clients of each kind of path, n of them.
func manyClients(n int) []tokenissuer.Client {
	all := clients()
	for i := range n {
		c := tokenissuer.Client{
			ID: fmt.Sprint("client", i), Type: "web", Secrets: []string{secret}, Grants: []string{"authorization_code", "client_credentials"},
			Scopes: []string{"openid", "email", "orders:read"}, RedirectURIs: []string{fmt.Sprintf("https://app%d.example/back", i)},
			LogoutRedirectURIs: []string{fmt.Sprintf("https://app%d.example/", i)}, Logout: "tokens", Audiences: []string{"https://api.example"},
		}
		if i%2 == 0 {
			c.Dialect = "idaas"
		}
		all = append(all, c)
	}
	return all
}

// allocated is how many bytes something takes, at the least of some tries: others
// take some beside it.
func allocated(do func()) uint64 {
	do()
	least := ^uint64(0)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		do()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// A request, of strangers too, costs as much beside five thousand clients as beside
// ten: to list them would be 40 KB.
func TestNoRequestPaysForManyClients(t *testing.T) {
	few, many := start(t, tokenissuer.Config{Clients: manyClients(10)}).issuer, start(t, tokenissuer.Config{Clients: manyClients(5000)}).issuer
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/.well-known/openid-configuration", ""},
		{"GET", "/api/v1/oauth2/.well-known/openid-configuration", ""},
		{"GET", "/userinfo", ""},
		{"POST", "/signup", "client_id=stranger"},
		{"POST", "/change_user_password", "client_id=stranger"},
		{"POST", "/oauth2/introspect", "client_id=shop&client_secret=" + secret + "&token=x.y.z"},
		{"POST", "/oauth2/token", "grant_type=client_credentials&client_id=client7&client_secret=" + secret},
		{"POST", "/api/v1/oauth2/token", "grant_type=client_credentials&client_id=client8&client_secret=" + secret},
		{"GET", "/api/v1/logout?redirect_url=https%3A%2F%2Fapp4.example%2F", ""},
		{"GET", "/somewhere/else", ""},
	} {
		asked := func(i *tokenissuer.Issuer) uint64 {
			return allocated(func() {
				r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
				if c.method == http.MethodPost {
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				if i.Handles(r) {
					i.ServeHTTP(httptest.NewRecorder(), r)
				}
			})
		}
		const most = 16 << 10
		if beside10, beside5000 := asked(few), asked(many); beside5000 > beside10+most {
			t.Errorf("%s %s takes %d bytes beside ten clients, and %d beside five thousand", c.method, c.path, beside10, beside5000)
		}
	}
}

// What is said of a configuration grows with it, not with its square.
func TestCheckingManyClientsGrowsWithThem(t *testing.T) {
	check := func(n int) uint64 {
		config := tokenissuer.Config{Issuer: "https://auth.example.com", Clients: manyClients(n)}
		return allocated(func() {
			if err := config.Validate(); err != nil {
				t.Error(err)
			}
			config.Idle()
		})
	}
	if few, many := check(250), check(2000); many > 16*few {
		t.Errorf("%d bytes for 250 clients, %d for 2000", few, many)
	}
}

func BenchmarkTenThousandClients(b *testing.B) {
	all := manyClients(10_000)
	config := tokenissuer.Config{Issuer: "https://auth.example.com", SigningAlgorithm: "ES256", Clients: all}
	b.Run("validate", func(b *testing.B) {
		for b.Loop() {
			if err := config.Validate(); err != nil {
				b.Fatal(err)
			}
			config.Idle()
		}
	})
	i := benchConfig(b, config)
	b.Run("token", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ask(b, i, "grant_type=client_credentials&scope=orders:read&client_id=client9999&client_secret="+secret)
		}
	})
}
