package caddymodule

import "testing"

// What a pattern is made of beside its syntax.
func TestTextsOfPatterns(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		`^/odata/Users\(`:        "/odata/Users(",
		`^/a(d{1})min(/|$)`:      "/admin/",
		`(?:^|,)x(?i)y(?P<n>z)`:  ",xyz",
		`^/[^/@]+\d+\.json`:      "/^/@json",
		`/%E7%AE%A1\x28.*`:       "/%E7%AE%A128",
		`filter\[role\]=(a|b)\\`: "filter[role]=ab",
		`\`:                      `\`,
		`(?`:                     "",
		`{`:                      "",
	} {
		if got := withoutSyntax(pattern); got != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}
