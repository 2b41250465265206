package oauth

import "strings"

// unescape decodes one name or value of application/x-www-form-urlencoded. It
// differs from url.QueryUnescape in that its failure has no text: that one's
// error repeats a piece of the value.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, true
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			b.WriteByte(' ')
		case '%':
			if i+2 >= len(s) {
				return "", false
			}
			high, ok1 := hexDigit(s[i+1])
			low, ok2 := hexDigit(s[i+2])
			if !ok1 || !ok2 {
				return "", false
			}
			b.WriteByte(high<<4 | low)
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

// Printable is what of a client's text may stand in an error_description (RFC 6749
// §5.2): %x20-21 / %x23-5B / %x5D-7E, and not too much of it.
func Printable(s string) string {
	const most = 200
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return -1
		}
		return c
	}, s)
	return s[:min(len(s), most)]
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	default:
		return 0, false
	}
}
