package caddymodule

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// What a page shows as a Caddyfile is one that works as it stands.
func TestCaddyfilesOfThePagesAdapt(t *testing.T) {
	t.Parallel()
	for page, least := range map[string]int{"../README.md": 1, "../docs/operating.md": 2} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```caddyfile\n")[1:]
		if len(blocks) < least {
			t.Errorf("%s has %d Caddyfiles", page, len(blocks))
		}
		for _, block := range blocks {
			source, _, _ := strings.Cut(block, "```")
			if out := adaptFile(t, []byte(source)); bytes.HasPrefix(out, []byte("error: ")) {
				t.Errorf("%s: %s\n%s", page, out, source)
			}
		}
	}
}
