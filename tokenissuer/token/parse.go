package token

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds nesting; no claim in use comes near.
const maxDepth = 16

var (
	errNotJSON   = errors.New("not JSON")
	errNotObject = errors.New("not a JSON object")
	errDeep      = errors.New("nested too deeply")
	// RFC 7519 §4: duplicate names may be refused; the last-wins reading that it
	// also allows is what parser differentials are made of.
	errTwice = errors.New("a member stands twice")
)

// parseMembers reads one JSON object (RFC 8259), and nothing that two parsers
// could read in two ways: no member twice at any level, no broken UTF-8, no byte
// order mark, nothing after it. Numbers stay as they were written.
//
// It reads the text once, where encoding/json would three times: every token that
// was not seen before comes here twice. There is room for as many members as are usual,
// without another allocation. The text must not be changed any more: every
// name and every value is a part of it.
func parseMembers(text []byte, usual int) (*gathered, error) {
	if !utf8.Valid(text) {
		return nil, errNotJSON
	}
	p := parser{text: asString(text)}
	p.space()
	if p.at == len(p.text) || p.text[p.at] != '{' {
		return nil, errNotObject
	}
	g := &gathered{all: make(members, 0, usual)}
	if err := p.members(0, g.add); err != nil {
		return nil, err
	}
	if p.space(); p.at != len(p.text) {
		return nil, errNotJSON
	}
	return g, nil
}

// parser is at a byte of a text.
type parser struct {
	text string
	at   int
}

func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// skip passes a byte, and says whether it was there.
func (p *parser) skip(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	if p.at == len(p.text) {
		return nil, errNotJSON
	}
	switch c := p.text[p.at]; c {
	case '"':
		return p.string()
	case '{':
		return p.object(depth)
	case '[':
		return p.list(depth)
	case 't':
		return true, p.word("true")
	case 'f':
		return false, p.word("false")
	case 'n':
		return nil, p.word("null")
	default:
		return p.number()
	}
}

func (p *parser) word(word string) error {
	if !strings.HasPrefix(p.text[p.at:], word) {
		return errNotJSON
	}
	p.at += len(word)
	return nil
}

func (p *parser) object(depth int) (map[string]any, error) {
	object := map[string]any{}
	err := p.members(depth, func(name string, value any) bool {
		before := len(object)
		object[name] = value
		return len(object) > before
	})
	if err != nil {
		return nil, err
	}
	return object, nil
}

// members reads those of the object that begins here; add says whether one is new.
func (p *parser) members(depth int, add func(name string, value any) bool) error {
	p.at++
	if p.space(); p.skip('}') {
		return nil
	}
	for {
		if p.space(); p.at == len(p.text) || p.text[p.at] != '"' {
			return errNotJSON
		}
		name, err := p.string()
		if err != nil {
			return err
		}
		if p.space(); !p.skip(':') {
			return errNotJSON
		}
		p.space()
		value, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		if !add(name, value) {
			return errTwice
		}
		if p.space(); p.skip('}') {
			return nil
		}
		if !p.skip(',') {
			return errNotJSON
		}
	}
}

func (p *parser) list(depth int) ([]any, error) {
	p.at++
	list := []any{}
	if p.space(); p.skip(']') {
		return list, nil
	}
	for {
		p.space()
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
		if p.space(); p.skip(']') {
			return list, nil
		}
		if !p.skip(',') {
			return nil, errNotJSON
		}
	}
}

// number passes [ "-" ] int [ frac ] [ exp ] (RFC 8259 §6).
func (p *parser) number() (json.Number, error) {
	start := p.at
	p.skip('-')
	if !p.skip('0') && !p.digits() {
		return "", errNotJSON
	}
	if p.skip('.') && !p.digits() {
		return "", errNotJSON
	}
	if p.skip('e') || p.skip('E') {
		if !p.skip('+') {
			p.skip('-')
		}
		if !p.digits() {
			return "", errNotJSON
		}
	}
	return json.Number(p.text[start:p.at]), nil
}

// digits says whether there was at least one.
func (p *parser) digits() bool {
	start := p.at
	for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at > start
}

// string reads one that begins here; most have no escapes and are a part of the text.
func (p *parser) string() (string, error) {
	p.at++
	start := p.at
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return p.text[start : p.at-1], nil
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			return "", errNotJSON
		}
		p.at++
	}
	return "", errNotJSON
}

// escaped reads on in a string that began at start, from its first escape.
func (p *parser) escaped(start int) (string, error) {
	out := []byte(p.text[start:p.at])
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == '"':
			return string(out), nil
		case c < ' ':
			return "", errNotJSON
		case c != '\\':
			out = append(out, c)
			continue
		}
		if p.at == len(p.text) {
			break
		}
		c = p.text[p.at]
		p.at++
		if c == 'u' {
			r, ok := p.hex()
			if !ok {
				break
			}
			out = utf8.AppendRune(out, p.paired(r))
			continue
		}
		i := strings.IndexByte(`"\/bfnrt`, c)
		if i < 0 {
			break
		}
		out = append(out, "\"\\/\b\f\n\r\t"[i])
	}
	return "", errNotJSON
}

// hex reads four digits.
func (p *parser) hex() (r rune, ok bool) {
	if len(p.text)-p.at < 4 {
		return 0, false
	}
	for _, c := range []byte(p.text[p.at : p.at+4]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	p.at += 4
	return r, true
}

// paired joins a surrogate with the one that is escaped behind it (RFC 8259 §7).
// One alone is no character and becomes U+FFFD, as in encoding/json.
func (p *parser) paired(r rune) rune {
	if !utf16.IsSurrogate(r) {
		return r
	}
	if rest := p.text[p.at:]; len(rest) >= 6 && rest[:2] == `\u` {
		second := parser{text: rest, at: 2}
		if low, ok := second.hex(); ok {
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				p.at += 6
				return both
			}
		}
	}
	return utf8.RuneError
}
