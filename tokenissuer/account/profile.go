package account

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// maxText is in bytes: a profile travels in tokens, whose size is bounded too.
const maxText = 256

// CheckProfile says whether the texts of an account may be stored: an
// *InputError, or nil. None may hold what could not stand in a header or a log
// line.
func CheckProfile(account store.Account) error {
	for _, text := range []struct{ field, value string }{
		{"name", account.Name}, {"nickname", account.Nickname}, {"zoneinfo", account.ZoneInfo}, {"locale", account.Locale},
	} {
		if !isText(text.value) {
			return &InputError{text.field, "is longer than 256 bytes, or holds a control character"}
		}
	}
	for name, value := range account.Attributes {
		if !isText(value) {
			return &InputError{name[strings.LastIndexByte(name, '/')+1:], "is longer than 256 bytes, or holds a control character"}
		}
	}
	return nil
}

func isText(s string) bool {
	return len(s) <= maxText && utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// OpenID Connect Core §5.1: a name of the zoneinfo database, and a language tag
// (RFC 5646), in which some write an underscore. The shape alone is asked for:
// new names and tags come faster than programs.
var (
	zone   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}$`)
	locale = regexp.MustCompile(`^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,5}$`)
)

// CheckPlace says whether zoneinfo and locale of an account are what programs
// can read: an *InputError, or nil.
func CheckPlace(account store.Account) error {
	if account.ZoneInfo != "" && !zone.MatchString(account.ZoneInfo) {
		return &InputError{"zoneinfo", "is no time zone such as Asia/Shanghai"}
	}
	if account.Locale != "" && !locale.MatchString(account.Locale) {
		return &InputError{"locale", "is no language such as zh-CN"}
	}
	return nil
}
