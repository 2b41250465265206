package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// events are the log lines with a message.
func (w *world) events(message string) (events []map[string]any) {
	w.Helper()
	for line := range strings.Lines(w.logged()) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			w.Fatalf("%s: %v", line, err)
		}
		if e["msg"] == message {
			events = append(events, e)
		}
	}
	return events
}

func TestEachIssuerRequestAndEachRefusalIsOneEvent(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, oneSite)
	good := w.token()
	w.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"shop"}, "client_secret": {"a wrong secret"}})
	w.post("/oauth2/token", url.Values{"grant_type": {"password"}, "client_id": {"phone"}, "auth_source_id": {"password"}, "username": {"anna"}, "password": {"a wrong password"}})
	w.get("/?access_token="+good, "Authorization: Bearer "+good)
	w.get("/secret/of?access_token=" + good)
	w.get("/", "Authorization: Bearer "+good[:len(good)-4]+"AAAA")

	var got []string
	for _, e := range w.events("issuer request") {
		got = append(got, strings.Join([]string{text(e["endpoint"]), text(e["client"]), text(e["outcome"]), text(e["reason"])}, " "))
	}
	want := []string{
		"token shop granted ",
		"token shop refused wrong_client_secret",
		"token phone refused wrong_credentials",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("issuer: got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if grant := text(w.events("issuer request")[0]["grant"]); grant != "client_credentials" {
		t.Errorf("grant %q", grant)
	}
	var reasons []string
	for _, e := range w.events("gate refused") {
		reasons = append(reasons, text(e["reason"]))
	}
	if strings.Join(reasons, " ") != "no_bearer_token wrong_signature" {
		t.Errorf("gate: %v", reasons)
	}
	if n := len(w.events("gate passed")); n != 1 {
		t.Errorf("%d debug events for one request that passed", n)
	}
	for name, secret := range map[string]string{
		"signature": good[strings.LastIndex(good, ".")+1:], "payload": strings.Split(good, ".")[1],
		"client secret": shopSecret, "wrong secret": "a wrong secret", "password": "a wrong password",
	} {
		for line := range strings.Lines(w.logged()) {
			ours := strings.Contains(line, `"logger":"token_issuer"`) || strings.Contains(line, `"logger":"http.handlers.token_`)
			if ours && strings.Contains(line, secret) {
				t.Errorf("the log holds the %s: %s", name, line)
			}
		}
	}
}

func text(v any) string { s, _ := v.(string); return s }

var metricLine = regexp.MustCompile(`(?m)^gatehouse_\S+ \S+$`)

// metrics are our lines of what the site /metrics shows.
func (w *world) metrics() map[string]string {
	w.Helper()
	all := map[string]string{}
	for _, line := range metricLine.FindAllString(w.get("/metrics").body, -1) {
		name, value, _ := strings.Cut(line, " ")
		all[name] = value
	}
	return all
}

func TestMetricsOutliveReloadsAndHaveNoLabelFromStrangers(t *testing.T) {
	w := newWorld(t)
	site := strings.Replace(oneSite, "token_gate", "token_gate {\n\t\texcept /metrics\n\t}\n\tmetrics /metrics", 1)
	w.load(oneIssuer, site)
	const accepted = `gatehouse_gate_requests_total{outcome="accepted",reason="none"}`
	const granted = `gatehouse_issuer_requests_total{client="shop",endpoint="token",error="none",grant="client_credentials"}`
	before := w.metrics()

	w.get("/gone", "Authorization: Bearer "+w.token()) // no backend: accepted all the same
	for _, id := range []string{"stranger-1", "stranger-2"} {
		w.post("/oauth2/token", url.Values{"grant_type": {"urn:" + id}, "client_id": {id}, "client_secret": {"x"}})
	}
	w.load(oneIssuer, site)
	w.load(strings.Replace(oneIssuer, "openid orders:read", "openid orders:read more", 1), site)
	after := w.metrics()
	const unknown = `gatehouse_issuer_requests_total{client="unknown",endpoint="token",error="invalid_client",grant="none"}`
	for _, name := range []string{accepted, granted, unknown} {
		if after[name] == "" || after[name] == before[name] {
			t.Errorf("%s: before %s, after %s", name, before[name], after[name])
		}
	}
	for name := range after {
		if strings.Contains(name, "stranger") {
			t.Errorf("a label from a stranger: %s", name)
		}
	}
}

func TestSecretWrittenInTheConfigurationIsWarnedOf(t *testing.T) {
	w := newWorld(t)
	w.load(strings.Replace(oneIssuer, "{env.SHOP_SECRET}", "0123456789abcdef0123", 1), oneSite)
	found := false
	for line := range strings.Lines(w.logged()) {
		if strings.Contains(line, "a secret is written in the configuration") {
			found = true
			if !strings.Contains(line, "Caddyfile:19") || strings.Contains(line, "0123456789abcdef0123") {
				t.Errorf("%s", line)
			}
		}
	}
	if !found {
		t.Error("no warning")
	}
}

func TestSenderKnowsWhatLooksLikeASecret(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		send    Send
		literal bool
	}{
		{Send{Type: "smtp", URL: "smtps://mailer:hunter2@mail.example"}, true},
		{Send{Type: "smtp", URL: "{env.SMTP_URL}"}, false},
		{Send{Type: "webhook", URL: "https://u:p@sms.example"}, true},
		{Send{Type: "webhook", URL: "https://sms.example", Headers: []SendHeader{{Name: "x-api-key", Value: "abcdef123456"}}}, true},
		{Send{Type: "webhook", URL: "https://sms.example", Headers: []SendHeader{{Name: "Authorization", Value: "Bearer {env.KEY}"}}}, false},
		{Send{Type: "webhook", URL: "https://sms.example", Headers: []SendHeader{{Name: "X-Tenant", Value: "shop"}}}, false},
	} {
		if c.send.literal() != c.literal {
			t.Errorf("%s %s: want %v", c.send.Type, c.send.URL, c.literal)
		}
	}
}

func TestAdaptedConfigurationHoldsNoSecret(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	_, answer := w.admin(http.MethodGet, "/config/", "")
	if strings.Contains(answer, shopSecret) || !strings.Contains(answer, "{env.SHOP_SECRET}") {
		t.Error(answer)
	}
}

func TestMetricsAreRegisteredByWhoeverComesFirst(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	for range 2 {
		if err := registerMetrics(registry); err != nil {
			t.Error(err)
		}
	}
}

// Whom to believe about the client's address is Caddy's trusted_proxies alone.
func TestPeerIsTheClientAsCaddyMakesItOut(t *testing.T) {
	const forged = "203.0.113.7"
	for global, want := range map[string]bool{"": false, "\n\tservers {\n\t\ttrusted_proxies_unix\n\t}": true} {
		w := newWorld(t)
		w.load(oneIssuer+global, oneSite)
		w.get("/oauth2/jwks", "X-Forwarded-For: "+forged)
		w.get("/", "X-Forwarded-For: "+forged)
		for _, event := range []string{"issuer request", "gate refused"} {
			if peer := text(w.events(event)[0]["peer"]); (peer == forged) != want {
				t.Errorf("%s, with%q: peer %s", event, global, peer)
			}
		}
	}
}
