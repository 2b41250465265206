package portal

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// digits is a number as people write it, without what they part its digits with:
// spaces, dashes, brackets and dots, and the marks of direction that come along
// when one is copied. A Chinese keyboard types all of these twice as wide.
func digits(typed string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Cf) || strings.ContainsRune("().", r) {
			return -1
		}
		return r
	}, norm.NFKC.String(typed))
}

func (v *visit) typedCode() string { return digits(v.typed("code")) }

// typedName is the name without the spaces around it, and a phone number as it is
// stored but for its country. 2024-01-15 may be somebody's username: digits that
// are parted by more than spaces are a number where they have the length of one.
func (v *visit) typedName(field string) string {
	const shortest = 9
	name := strings.TrimSpace(v.typed(field))
	number := digits(name)
	spaced := strings.Join(strings.Fields(norm.NFKC.String(name)), "") == number
	if account.KindOf(number) == store.ByPhone && (spaced || len(number) >= shortest) {
		return number
	}
	if narrow := width.Fold.String(name); account.KindOf(narrow) == store.ByEmail {
		return narrow
	}
	return name
}
