package gate

import (
	"net/url"
	"strings"
)

// Texts are what an address is compared with as it was sent. Of its spelling that counts
// which may make a difference to them: letters and digits that are escaped, and what is
// escaped there and not here, or here and not there, or in other letters. Whoever takes the
// escapes off finds the same address.
type Texts struct{ path, query spellings }

// spellings are bytes as they are, and as escapes (%2C, %2c).
type spellings struct{ plain, capital, small [256]bool }

// Add notes a text that a whole address is compared with, or a part that is made of one. What
// is usual in paths makes no difference in queries: every second one has an address in it.
func (t *Texts) Add(text string) {
	t.path.add(text, &anyByte)
	t.query.add(text, &eitherInQueries)
}

// AddQuery notes a text that a query is compared with.
func (t *Texts) AddQuery(text string) {
	t.path.add(text, &anyByte)
	t.query.add(strings.ReplaceAll(text, "+", " "), &anyByte)
}

// AddPaths is of who compares paths with nobody knows what.
func (t *Texts) AddPaths() { t.path.add(bothInPaths, &anyByte) }

func (s *spellings) add(text string, of *[256]bool) {
	for text != "" {
		if !isEscape(text) {
			s.plain[text[0]] = s.plain[text[0]] || of[text[0]]
			text = text[1:]
			continue
		}
		c := unhex(text[1])<<4 | unhex(text[2])
		capital, small := isCapital(text), isSmall(text)
		s.capital[c] = s.capital[c] || of[c] && (capital || !small)
		s.small[c] = s.small[c] || of[c] && (small || !capital)
		text = text[3:]
	}
}

func (t *Texts) addAll(other *Texts) {
	t.path.addAll(&other.path)
	t.query.addAll(&other.query)
}

func (s *spellings) addAll(other *spellings) {
	for c := range other.plain {
		s.plain[c] = s.plain[c] || other.plain[c]
		s.capital[c] = s.capital[c] || other.capital[c]
		s.small[c] = s.small[c] || other.small[c]
	}
}

// isOddAddress reports whether an address may be another one to these texts than to who reads
// it without escapes.
func (t *Texts) isOddAddress(u *url.URL) bool {
	sent := u.RawPath
	if sent == "" {
		sent = u.EscapedPath() // Go's own spelling escapes more than others do
	}
	return t.path.isOdd(sent, &inPaths) || t.isOddQuery(u.RawQuery)
}

func (t *Texts) isOddQuery(query string) bool { return t.query.isOdd(query, &inQueries) }

// bothInPaths are sent as they are by some, and escaped by others (RFC 3986 §3.3).
const bothInPaths = "!'()*[]~:@&=+$,;"

// What is sent in either way, in paths, in queries, and in queries also where an address is
// meant. There everything is but what stands for something else where it is escaped; a blank
// is + or %20.
var (
	anyByte         = bytes(func(byte) bool { return true })
	inPaths         = bytes(func(c byte) bool { return c >= 0x80 || strings.IndexByte(bothInPaths, c) >= 0 })
	inQueries       = bytes(func(c byte) bool { return strings.IndexByte("&=+;#%", c) < 0 })
	eitherInQueries = bytes(func(c byte) bool { return c >= 0x80 || strings.IndexByte("!'()*[]~$,", c) >= 0 })
)

func bytes(has func(byte) bool) (table [256]bool) {
	for c := range table {
		table[c] = has(byte(c))
	}
	return table
}

func (s *spellings) isOdd(sent string, both *[256]bool) bool {
	for sent != "" {
		c, width := sent[0], 1
		if c == '%' || c == '+' && both[' '] {
			c, width = lenient(sent)
		}
		switch capital, small := width == 3 && isCapital(sent), width == 3 && isSmall(sent); {
		case isNeedless(c, width),
			width == 1 && both[c] && (s.capital[c] || s.small[c]),
			width == 3 && both[c] && s.plain[c],
			small && s.capital[c], capital && s.small[c]:
			return true
		}
		sent = sent[width:]
	}
	return false
}

// isCapital and isSmall say in which letters an escape is written; one of digits in none.
func isCapital(escape string) bool {
	return 'A' <= escape[1] && escape[1] <= 'F' || 'A' <= escape[2] && escape[2] <= 'F'
}

func isSmall(escape string) bool { return escape[1] >= 'a' || escape[2] >= 'a' }
