package caddymodule

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// J03: what the page says of slow clients, Caddy decides where nobody says anything, and
// another version of it may decide otherwise.
func TestSlowClientsHaveTheTimeThatIsDocumented(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, server := range app.(*caddyhttp.App).Servers {
		for row, c := range map[string]struct{ got, want time.Duration }{
			"| a minute in all | Caddy, `read_header` |":                              {time.Duration(server.ReadHeaderTimeout), time.Minute},
			"| a minute without a byte | Caddy, `read_body_idle` |":                   {time.Duration(server.ReadIdleTimeout), time.Minute},
			"| a minute in which nothing of it goes out | Caddy, `write_idle` |":      {time.Duration(server.WriteIdleTimeout), time.Minute},
			"| five minutes | Caddy, `idle` |":                                        {time.Duration(server.IdleTimeout), 5 * time.Minute},
			"A body for a backend, and an answer, may go on for days by a byte a min": {time.Duration(server.ReadTimeout + server.WriteTimeout), 0},
		} {
			if c.got != c.want || !strings.Contains(string(page), row) {
				t.Errorf("%s: %v; the page: %v, %s", name, c.got, c.want, row)
			}
		}
	}
}
