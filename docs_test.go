package gatehouse

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// code is what a page shows as it is; a regular expression looks like a link.
var code = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")

// A page that points at nothing was renamed, or never written.
func TestLinksOfThePagesLeadSomewhere(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "xcaddy/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	seen := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			seen++
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), target)
			}
			switch _, err := os.Stat(file); {
			case err != nil:
				t.Errorf("%s links to %s, which is not there", page, found[1])
			case anchor != "" && !hasHeading(t, file, anchor):
				t.Errorf("%s links to %s, and there is no such heading", page, found[1])
			}
		}
	}
	if len(pages) < 10 || seen < 5 {
		t.Errorf("%d links in %d pages: the test looks at the wrong folder", seen, len(pages))
	}
}

var notInAnchor = regexp.MustCompile(`[^a-z0-9 _-]`)

// hasHeading reports whether a page has a heading with this anchor, as GitHub
// makes it.
func hasHeading(t *testing.T, page, anchor string) bool {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		title := notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#"))), "")
		if strings.ReplaceAll(title, " ", "-") == anchor {
			return true
		}
	}
	return false
}

// A decision is cited by its number.
func TestDecisionsHaveANumberOfTheirOwn(t *testing.T) {
	pages, err := filepath.Glob("docs/decisions/*.md")
	if err != nil || len(pages) < 15 {
		t.Fatalf("%d decisions, %v", len(pages), err)
	}
	first := map[string]string{}
	for _, page := range pages {
		number, _, _ := strings.Cut(filepath.Base(page), "-")
		if other := first[number]; other != "" {
			t.Errorf("%s and %s have one number", other, page)
		}
		first[number] = page
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if want := "# " + strings.TrimLeft(number, "0") + ". "; !strings.HasPrefix(string(text), want) {
			t.Errorf("%s does not begin with %q", page, want)
		}
	}
}
