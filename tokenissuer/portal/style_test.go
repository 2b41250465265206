package portal

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

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
