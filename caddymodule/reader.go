package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// place names a part of the issuer's configuration as tokenissuer.ConfigError
// does.
type place struct{ client, source, option string }

// reader reads the values of a configuration. Without a replacer, which is how
// it works while a Caddyfile is being adapted, a value with a placeholder is
// unknown, and so is whatever is wrong with it.
type reader struct {
	repl    *caddy.Replacer
	name    string // begins messages about the top of the configuration
	in      place  // the block being read
	at      string
	lines   Lines // of the block
	unknown map[place]bool
	blocks  map[place]written // option "" -> where the block stands
	err     error             // the first value that could not be read
}

// written is where a block and its words stand.
type written struct {
	at    string
	lines Lines
}

// enter says which block the next values are from.
func (r *reader) enter(in place, at string, lines Lines) {
	r.in, r.at, r.lines = in, at, lines
	if r.blocks == nil {
		r.blocks, r.unknown = map[place]written{}, map[place]bool{}
	}
	r.blocks[in] = written{at, lines} // of two blocks with one name, the second is the mistake
}

// text resolves one value; known is false while its placeholder has no value.
func (r *reader) text(option, value string) (text string, known bool) {
	if !hasPlaceholder(value) {
		return value, true
	}
	in := r.in
	in.option = option
	if r.repl == nil {
		r.unknown[in] = true
		return value, false
	}
	text, err := r.repl.ReplaceOrErr(value, true, true)
	if err != nil {
		r.fail(option, value, because(value, err))
		return "", false
	}
	return text, true
}

var filePlaceholder = regexp.MustCompile(`\{file\.([^{}]+)\}`)

// because says why a value has no text. Caddy calls a file that it cannot read
// an empty one.
func because(value string, err error) string {
	for _, found := range filePlaceholder.FindAllStringSubmatch(value, -1) {
		if err := readable(found[1]); err != nil {
			return found[0] + " cannot be read: " + err.Error()
		}
	}
	return err.Error()
}

// readable says why a file cannot be read: it is a folder, perhaps.
func readable(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (r *reader) texts(option string, values []string) []string {
	var out []string
	for _, v := range values {
		text, known := r.text(option, v)
		out = append(out, text)
		// What is wrong with the text is told where the placeholder stands.
		if line, ok := r.lines[option+" "+v]; ok && known && text != v {
			r.lines = maps.Clone(r.lines)
			r.lines[option+" "+text] = line
		}
	}
	return out
}

func (r *reader) duration(option, value string) time.Duration {
	text, known := r.text(option, value)
	if !known || text == "" {
		return 0
	}
	d, problem := parseDuration(text)
	if problem != "" {
		r.fail(option, value, fmt.Sprintf("%q%s", text, problem))
	}
	return d
}

var digits = regexp.MustCompile(`[0-9]+`)

// parseDuration reads a duration above zero, or says what is wrong with it.
func parseDuration(text string, or ...string) (d time.Duration, problem string) {
	d, err := caddy.ParseDuration(text)
	if err != nil {
		if _, err := caddy.ParseDuration(digits.ReplaceAllString(text, "1")); err == nil {
			return 0, ": too long: no duration is over 106751d"
		}
	}
	if err != nil || d <= 0 {
		such := "30d"
		if digits.FindString(text) == text && strings.Trim(text, "0") != "" {
			such = text + "s" // a number alone
		}
		return 0, ": expected " + list(append([]string{"a duration such as " + such}, or...))
	}
	return d, ""
}

func (r *reader) number(option string, value Number) int {
	text, known := r.text(option, string(value))
	if !known || text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		r.fail(option, string(value), fmt.Sprintf("%q: expected a whole number above 0", text))
	}
	return n
}

// fail keeps the first mistake.
func (r *reader) fail(option, value, mend string) {
	if r.err == nil {
		e := tokenissuer.ConfigError{Client: r.in.client, Source: r.in.source, Option: option, Mend: mend}
		name := r.name
		if name == "" {
			name = in(r.in)
		}
		r.err = placed(name+e.Error(), r.lines.of(option, value, r.at))
	}
}

// firstMistake picks the first of the errors that is not about an unknown value
// and says where it is to be mended.
func (r *reader) firstMistake(err error) error {
	if r.err != nil {
		return r.err
	}
	for _, e := range flatten(err) {
		mistake, ok := errors.AsType[*tokenissuer.ConfigError](e)
		if !ok {
			return e
		}
		p := place{mistake.Client, mistake.Source, mistake.Option}
		word, _, _ := strings.Cut(p.option, " ")
		if r.unknown[p] || r.unknown[place{p.client, p.source, word}] {
			continue
		}
		return placed(r.told(mistake))
	}
	return nil
}

// told is what is said of a part of the configuration, and where it stands.
func (r *reader) told(about *tokenissuer.ConfigError) (text, at string) {
	p := place{client: about.Client, source: about.Source}
	// Of a word with several values, the option names one.
	word, value, _ := strings.Cut(about.Option, " ")
	block := r.blocks[p]
	return in(p) + about.Error(), block.lines.of(word, value, block.at)
}

// in begins a message about the top of the configuration; messages about a
// client or a source begin with its name.
func in(p place) string {
	if p.client == "" && p.source == "" {
		return "token_issuer: "
	}
	return ""
}

// joined is what errors.Join makes.
type joined interface {
	error
	Unwrap() []error
}

func flatten(err error) []error {
	if all, ok := errors.AsType[joined](err); ok {
		return all.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
