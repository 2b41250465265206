package gate

import (
	"net/url"
	"strings"
)

// Texts are what an address is compared with as it was sent. Of its spelling that counts
// which may make a difference to them: letters and digits that are escaped, and what is
// escaped there and not here, or here and not there, or in other letters. Whoever takes the
// escapes off finds the same address.
type Texts struct {
	plain, capital, small [256]bool // bytes as they are, and as escapes (%2C, %2c)
}

// Add notes a text.
func (t *Texts) Add(text string) {
	for text != "" {
		if !isEscape(text) {
			t.plain[text[0]] = true
			text = text[1:]
			continue
		}
		c := unhex(text[1])<<4 | unhex(text[2])
		capital, small := isCapital(text), isSmall(text)
		t.capital[c] = t.capital[c] || capital || !small
		t.small[c] = t.small[c] || small || !capital
		text = text[3:]
	}
}

func (t *Texts) addAll(other *Texts) {
	for c := range other.plain {
		t.plain[c] = t.plain[c] || other.plain[c]
		t.capital[c] = t.capital[c] || other.capital[c]
		t.small[c] = t.small[c] || other.small[c]
	}
}

// areOdd reports whether an address may be another one to these texts than to who reads it
// without escapes.
func (t *Texts) areOdd(u *url.URL) bool {
	sent := u.RawPath
	if sent == "" {
		sent = u.EscapedPath() // Go's own spelling escapes more than others do
	}
	return t.isOdd(sent, bothInPaths) || t.isOdd(u.RawQuery, bothInQueries)
}

const (
	// bothInPaths are sent as they are by some, and escaped by others (RFC 3986 §3.3).
	bothInPaths = "!'()*[]~:@&=+$,;"
	// bothInQueries are the same, but for what stands for something else where it is escaped,
	// and what addresses have that are in queries.
	bothInQueries = "!'()*[]~$,"
)

func (t *Texts) isOdd(sent, both string) bool {
	for sent != "" {
		c, width := sent[0], 1
		if c == '%' {
			c, width = lenient(sent)
		}
		there := t.capital[c] || t.small[c]
		mayBoth := c >= 0x80 || strings.IndexByte(both, c) >= 0
		switch capital, small := width == 3 && isCapital(sent), width == 3 && isSmall(sent); {
		case isNeedless(c, width),
			width == 1 && mayBoth && there,
			width == 3 && mayBoth && t.plain[c],
			small && t.capital[c], capital && t.small[c]:
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
