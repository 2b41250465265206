package gatehouse

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")

// A row whose test was renamed or removed would claim what nobody looks at.
func TestEveryAttackOfThePageHasItsTest(t *testing.T) {
	page, err := os.ReadFile("docs/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := os.ReadFile(file)
		tests.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := testName.FindAllStringSubmatch(string(page), -1)
	if len(named) < 30 {
		t.Errorf("%d tests on the page", len(named))
	}
	for _, name := range named {
		if !strings.Contains(tests.String(), "\nfunc "+name[1]+"(") {
			t.Errorf("docs/attacks.md names %s, and there is no such test", name[1])
		}
	}
}

// rows are the attacks on what a gate decides by itself: tokens (A), headers and paths (B),
// keys that it fetches (G), and its resources (J). The numbers have gaps.
var rows = map[string][]int{
	"A": {1, 2, 3, 5, 7, 8, 9, 10, 12, 13, 14, 15, 18, 19, 20, 21, 22, 23, 28, 30, 31, 33, 34, 35, 39, 40},
	"B": {1, 2, 3, 4, 7, 9, 10, 11, 12, 13, 14, 16, 17, 18, 22, 25, 26},
	"G": {1, 2, 3, 5, 7, 8, 10},
	"J": {1, 3, 4, 7, 8, 10, 11},
}

var rowIDs = regexp.MustCompile(`([A-Z])(\d\d)(?:-[A-Z](\d\d))?`)

// named are the rows in the first cell of a line, such as "A05-A07, A09".
func named(t *testing.T, cell string) (all []string) {
	t.Helper()
	for _, m := range rowIDs.FindAllStringSubmatch(cell, -1) {
		first, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		last := first
		if m[3] != "" {
			if last, err = strconv.Atoi(m[3]); err != nil {
				t.Fatal(err)
			}
		}
		for n := first; n <= last; n++ {
			all = append(all, fmt.Sprintf("%s%02d", m[1], n))
		}
	}
	return all
}

// An attack that is on no line of the page would be one that nobody thinks of.
func TestEveryAttackHasATestOrAReason(t *testing.T) {
	page, err := os.ReadFile("docs/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	tested, untested, found := strings.Cut(string(page), "\nRows of the same matters that have no test, and why:\n")
	if !found {
		t.Fatal("the page has no table of the rows without a test")
	}
	have := func(part string, counts func(cells []string) bool) (all []string) {
		for line := range strings.Lines(part) {
			if cells := strings.Split(line, "|"); len(cells) > 3 && counts(cells) {
				all = append(all, named(t, cells[1])...)
			}
		}
		return all
	}
	tests := have(tested, func(cells []string) bool { return testName.MatchString(strings.Join(cells[3:], "|")) })
	reasons := have(untested, func(cells []string) bool { return len(strings.Fields(cells[3])) > 3 })
	for section, numbers := range rows {
		for _, n := range numbers {
			id := fmt.Sprintf("%s%02d", section, n)
			if slices.Contains(tests, id) == slices.Contains(reasons, id) {
				t.Errorf("%s has to have a test on the page, or a reason why there is none", id)
			}
		}
	}
}
