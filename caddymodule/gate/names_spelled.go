package gate

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// formOf is a name as the least strict reads it: PHP takes the blanks in front off, all
// behind a zero byte or a pair of brackets that counts, and has _ for a dot, a blank and a lonely
// bracket; ASP.NET does not know capitals.
func formOf(name string) string {
	name, _, _ = strings.Cut(strings.TrimLeft(name, blanks+"?"), "\x00")
	name = uncounted(name)
	at := strings.IndexByte(name, '[')
	nested := at > 0 && strings.IndexByte(name[at:], ']') > 0
	form := make([]byte, 0, len(name))
	for _, c := range []byte(name) {
		switch {
		case !nested:
			form = append(form, formOfByte(c))
		case c == '[':
			form = append(form, c)
		case c != ']':
			form = append(form, formOfByte(c))
		}
	}
	return string(form)
}

// counted are the pairs of brackets that hold a number, or nothing.
var counted = regexp.MustCompile(`\[[0-9]*\]`)

// uncounted is a name with anyNumber for the number of an element, and up to the last pair
// of brackets where that holds one: an element of a list has more than one name.
func uncounted(name string) string {
	name = counted.ReplaceAllLiteralString(name, "["+anyNumber+"]")
	for strings.HasSuffix(name, "["+anyNumber+"]") {
		name = strings.TrimSuffix(name, "["+anyNumber+"]")
	}
	return name
}

// anyNumber stands in a form for a number, or a key that PHP takes as well. No name has it.
const anyNumber = "\x00"

// isSibling reports whether a name is sent as one is, but for the numbers of elements.
func isSibling(sent, name string) bool {
	if hasNeedless(sent) || !counted.MatchString(name) {
		return false
	}
	plain, err := url.QueryUnescape(sent)
	return err == nil && counted.ReplaceAllLiteralString(plain, "[]") == counted.ReplaceAllLiteralString(name, "[]")
}

const blanks = " \t\r\n\v\f"

func isBlankByte(c byte) bool { return strings.IndexByte(blanks, c) >= 0 }

func formOfByte(c byte) byte {
	if c == '.' || c == '[' || isBlankByte(c) {
		return '_'
	}
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// hasForm reports whether a name, as it is sent, without blanks in front, is one to the
// least strict. A bracket that parts a name is closed or not, and there twice or in front
// (Rack 2), or is a dot (qs, Spring); before it all of what it parts may stand alone.
func hasForm(name, form string) bool {
	i, last, nested := 0, byte(0), strings.IndexByte(form, '[') > 0
	for name != "" {
		c, width := lenient(name)
		isTwice := c == '[' && last == '['
		last = c
		if i < len(form) && form[i] == anyNumber[0] && (c == '[' || c == '.') && !isTwice {
			i++
		}
		switch {
		case i < len(form) && form[i] == anyNumber[0]: // of a number
		case i == len(form):
			return c == 0 || c == '[' || c == ']' || withoutBlanks(name) == ""
		case i == 0 && c == '[' && form[0] != '_', nested && c == ']', nested && c == '[' && i > 0 && form[i-1] == '[':
		case form[i] == '[' && (c == '[' || c == '.'), form[i] == formOfByte(c):
			i++
		default:
			return false
		}
		name = name[width:]
	}
	rest := strings.TrimPrefix(form[i:], anyNumber)
	return rest == "" || rest[0] == '['
}

// withoutBlanks is a name without the blanks in front of it, and without a second ? there.
func withoutBlanks(name string) string {
	for name != "" {
		c, width := lenient(name)
		if !isBlankByte(c) && c != '?' {
			break
		}
		name = name[width:]
	}
	return name
}

func endsBlank(name string) bool {
	for len(name) > 0 {
		c, width := lenient(name)
		if name = name[width:]; name == "" {
			return isBlankByte(c)
		}
	}
	return false
}

// brackets says whether one is open at the end of a name, and whether there are others.
func brackets(name string) (open, isList bool) {
	for name != "" {
		c, width := lenient(name)
		open = (open || c == '[') && c != ']'
		isList = isList || c == ']'
		name = name[width:]
	}
	return open, isList
}

// lenient is the next byte of a name, and how many it is written with. A broken escape
// stands for itself; %u0061 is an a to IIS.
func lenient(name string) (c byte, width int) {
	switch {
	case name[0] == '+':
		return ' ', 1
	case isEscape(name):
		return unhex(name[1])<<4 | unhex(name[2]), 3
	case len(name) >= 6 && name[0] == '%' && name[1]|0x20 == 'u' && name[2] == '0' && name[3] == '0' && isHex(name[4]) && isHex(name[5]):
		return unhex(name[4])<<4 | unhex(name[5]), 6
	}
	return name[0], 1
}

func isEscape(text string) bool {
	return len(text) >= 3 && text[0] == '%' && isHex(text[1]) && isHex(text[2])
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// isSpelled reports whether a name is sent as it is, but for escapes that it needs.
func isSpelled(sent, name string) bool {
	for sent != "" {
		c, width := lenient(sent)
		if name == "" || c != name[0] || isNeedless(c, width) {
			return false
		}
		sent, name = sent[width:], name[1:]
	}
	return name == ""
}

// isNeedless is of an escape that nobody honest writes (RFC 3986 §2.3): of ~ forms have one.
func isNeedless(c byte, width int) bool {
	return width > 3 || width == 3 && (foldedBytes[c] != '-' || strings.IndexByte("-._", c) >= 0)
}

func hasNeedless(text string) bool {
	for at := strings.IndexByte(text, '%'); at >= 0; at = strings.IndexByte(text, '%') {
		c, width := lenient(text[at:])
		if isNeedless(c, width) {
			return true
		}
		text = text[at+width:]
	}
	return false
}

// isTrimmed says that a value is the same to who takes blanks off its ends, as Laravel
// does, and to who ends it at a zero byte.
func isTrimmed(value string) bool {
	first, _ := utf8.DecodeRuneInString(value)
	last, _ := utf8.DecodeLastRuneInString(value)
	return value == "" || !isEdge(first) && !isEdge(last) && !strings.Contains(value, "\x00")
}

func isEdge(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\ufeff' || '\u200b' <= r && r <= '\u200f'
}
