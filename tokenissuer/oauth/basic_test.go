package oauth

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

func basic(joined string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(joined)) }

func TestBasicHasTwoReadings(t *testing.T) {
	tests := []struct{ header, id, secret, rawID, rawSecret string }{
		{basic("shop:s3cret"), "shop", "s3cret", "shop", "s3cret"},
		{basic("shop:a:b"), "shop", "a:b", "shop", "a:b"},
		{basic("s%3Ahop:a%2Bb+c"), "s:hop", "a+b c", "s%3Ahop", "a%2Bb+c"},
		{"bAsIc   " + base64.StdEncoding.EncodeToString([]byte("a:é")), "a", "é", "a", "é"},
	}
	for _, c := range tests {
		id, secret, err := ParseBasic(c.header)
		rawID, rawSecret, rawErr := RawBasic(c.header)
		if err != nil || rawErr != nil || id != c.id || secret != c.secret || rawID != c.rawID || rawSecret != c.rawSecret {
			t.Errorf("%q: %q %q %v, raw %q %q %v", c.header, id, secret, err, rawID, rawSecret, rawErr)
		}
	}
}

func TestMalformedBasicIsRefused(t *testing.T) {
	good := base64.StdEncoding.EncodeToString([]byte("shop:s3cret2"))
	for name, header := range map[string]string{
		"nothing":             "",
		"scheme alone":        "Basic",
		"scheme and space":    "Basic ",
		"other scheme":        "Bearer " + good,
		"no space":            "Basic" + good,
		"tab":                 "Basic\t" + good,
		"no colon":            basic("shop"),
		"no id":               basic(":secret"),
		"no secret":           basic("shop:"),
		"no base64":           "Basic shop:secret",
		"no padding":          "Basic " + strings.TrimRight(base64.StdEncoding.EncodeToString([]byte("a:bb1")), "="),
		"URL alphabet":        "Basic " + base64.URLEncoding.EncodeToString([]byte("a:>>>???")),
		"stray bits":          "Basic YTpiY2==",
		"line end":            "Basic " + good[:4] + "\r\n" + good[4:],
		"space inside":        "Basic " + good[:4] + " " + good[4:],
		"two credentials":     "Basic " + good + ", Basic " + good,
		"control character":   basic("shop:a\x01"),
		"NUL, escaped":        basic("shop:a%00"),
		"line end, escaped":   basic("shop:a%0a"),
		"UTF-8":               basic("shop:\xff"),
		"UTF-8, escaped":      basic("shop:%ff"),
		"cut escape":          basic("shop:100%"),
		"long, without colon": basic(strings.Repeat("a", 1<<20)),
	} {
		id, secret, err := ParseBasic(header)
		e := AsError(err)
		if err == nil || e.Code != InvalidRequest || e.Reason != MalformedBasic || id != "" || secret != "" {
			t.Errorf("%s: %q %q %v", name, id, secret, err)
		}
	}
}

// The answer to a failed request depends on whether it tried Basic at all, so
// a broken header has to be told from none.
func TestBrokenBasicIsStillBasic(t *testing.T) {
	for header, want := range map[string]bool{
		"Basic": true, "basic x": true, "BASIC !!": true,
		"": false, "Basics x": false, "Bearer x": false, " Basic x": false,
	} {
		if IsBasic(header) != want {
			t.Errorf("%q: %v", header, !want)
		}
	}
}

func FuzzBasic(f *testing.F) {
	f.Add(basic("a:b"))
	f.Add(basic("a%41:b+"))
	f.Add("Basic YTpi\n")
	f.Fuzz(func(t *testing.T, header string) {
		id, secret, err := RawBasic(header)
		if err != nil {
			return
		}
		// One header for one pair: what is accepted prints back to the same bytes.
		credentials, _ := basicCredentials(header)
		if printed := base64.StdEncoding.EncodeToString([]byte(id + ":" + secret)); printed != credentials {
			t.Fatalf("%q printed back as %q", credentials, printed)
		}
		id, secret, err = ParseBasic(header)
		if err != nil {
			return
		}
		again, againSecret, err := ParseBasic(basic(url.QueryEscape(id) + ":" + url.QueryEscape(secret)))
		if err != nil || again != id || againSecret != secret {
			t.Fatalf("%q %q became %q %q %v", id, secret, again, againSecret, err)
		}
	})
}
