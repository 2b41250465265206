package caddymodule

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// FuzzCaddyfile holds that whatever adapts says the same when it is read as
// strictly as Caddy reads it and written again: no word is lost on the way.
func FuzzCaddyfile(f *testing.F) {
	files, err := filepath.Glob("testdata/adapt/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("import")) {
			return // of files, whatever there are
		}
		out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": "Caddyfile"})
		if err != nil {
			if ours := strings.Contains(err.Error(), "parsing caddyfile tokens for 'token_"); ours && !strings.Contains(err.Error(), " Caddyfile:") {
				t.Errorf("no line in: %v", err)
			}
			return
		}
		var config struct {
			Apps map[string]json.RawMessage `json:"apps"`
		}
		if err := json.Unmarshal(out, &config); err != nil {
			t.Fatal(err)
		}
		raw := config.Apps["token_issuer"]
		if raw == nil {
			return
		}
		var app App
		if err := caddy.StrictUnmarshalJSON(raw, &app); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		again, err := json.Marshal(&app)
		if err != nil || !bytes.Equal(again, raw) {
			t.Errorf("got %s, %v\nwant %s", again, err, raw)
		}
		if app.Issuer == "" || app.At == "" {
			t.Errorf("adapted without an issuer: %s", raw)
		}
	})
}
