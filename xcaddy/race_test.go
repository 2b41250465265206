package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRacesOfCaddysOwnAreToldFromOurs(t *testing.T) {
	const start = "WARNING: DATA RACE\nWrite at 0x00c000d72ec0 by main goroutine:\n  github.com/caddyserver/caddy/v2/modules/caddytls.(*TLS).Start()\n" +
		"      /mod/tls.go:424 +0x224\n  github.com/gatehouse-auth/gatehouse/xcaddy.main()\n      /xcaddy/main.go:22 +0x5a\n"
	for name, c := range map[string]struct {
		log  string
		want bool
	}{
		"none":        {`{"level":"info","msg":"serving"}`, false},
		"Caddy's":     {"==================\n" + start + "==================\n", false},
		"ours":        {"==================\n" + start + "Previous read by goroutine 7:\n  github.com/gatehouse-auth/gatehouse/caddymodule.(*Gate).ServeHTTP()\n==================\n", true},
		"both, apart": {"==================\n" + start + "==================\n{}\n==================\nWARNING: DATA RACE\n  github.com/gatehouse-auth/gatehouse/tokenissuer.New()\n==================\n", true},
		"a panic":     {"panic: runtime error", true},
	} {
		log := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(log, []byte(c.log), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := raced(log); (err != nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
