package caddymodule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// words are what may stand in a block. A word that is not among them is an
// error, never ignored: a typo in a rule must not admit anybody.
type words map[string]word

type word struct {
	read   func() error // reads the word's arguments and block
	repeat bool         // it may stand more than once
	prose  *string      // its value, where that may be several words
}

// block reads one Caddyfile block.
type block struct {
	*caddyfile.Dispenser
	name  string // what messages call it
	lines Lines  // the block's own place under ""
}

func newBlock(d *caddyfile.Dispenser, name string) *block {
	return &block{Dispenser: d, name: name, lines: Lines{"": at(d)}}
}

// at is the place of the current token, as the `at` of the JSON has it.
func at(d *caddyfile.Dispenser) string { return d.File() + ":" + strconv.Itoa(d.Line()) }

// read reads the block that begins after the current token, if one does.
func (b *block) read(ws words) error {
	for nesting := b.Nesting(); b.NextBlock(nesting); {
		name := b.Val()
		w, known := ws[name]
		if !known {
			return b.unknown(name, ws)
		}
		if first, seen := b.lines[name]; seen && !w.repeat {
			return b.Errf("%s: %s stands twice, first at %s", b.name, name, first)
		}
		if _, seen := b.lines[name]; !seen {
			b.lines[name] = at(b.Dispenser)
		}
		if err := w.read(); err != nil {
			return err
		}
		if err := b.lineEnds(name, w.prose); err != nil {
			return err
		}
	}
	return nil
}

// notEmpty refuses a block without a word: its { may be missing.
func (b *block) notEmpty(needs string) error {
	if len(b.lines) > 1 {
		return nil
	}
	return placed(fmt.Sprintf("%s: has no words, and needs %s at least; its line must end with {", b.name, needs), b.lines[""])
}

// lineEnds refuses whatever follows a word that has been read.
func (b *block) lineEnds(name string, prose *string) error {
	if b.NextArg() {
		if prose != nil {
			all := strings.Join(append([]string{*prose, b.Val()}, b.RemainingArgs()...), " ")
			return b.Errf("%s: %s takes one value, and several words are one in quotes: %s %q", b.name, name, name, all)
		}
		return b.Errf("%s: unexpected %q after %s", b.name, b.Val(), name)
	}
	line := at(b.Dispenser)
	if b.NextBlock(b.Nesting()) {
		return placed(fmt.Sprintf("%s: %s has no block", b.name, name), line)
	}
	return nil
}

// unknown is the error for a word that the block does not know.
func (b *block) unknown(got string, ws words) error {
	var names []string
	for name := range ws {
		names = append(names, name)
	}
	slices.Sort(names)
	return b.Errf("%s: unknown word %q%s: expected %s", b.name, got, hint(got, names), list(names))
}

// text reads exactly one argument.
func (b *block) text(into *string) word {
	return word{read: func() error {
		name := b.Val()
		if !b.NextArg() || strings.TrimSpace(b.Val()) == "" {
			return b.Errf("%s: %s needs a value", b.name, name)
		}
		*into = b.Val()
		return nil
	}}
}

// prose reads exactly one argument, which people read.
func (b *block) prose(into *string) word {
	w := b.text(into)
	w.prose = into
	return w
}

// color reads a colour. The # that it begins with begins a comment where it is not
// in quotes.
func (b *block) color(into *string) word {
	w := b.text(into)
	read := w.read
	w.read = func() error {
		name := b.Val()
		if err := read(); err != nil {
			return b.Errf("%s: %s needs a value, in quotes where it begins with #, or it is a comment: %s %q", b.name, name, name, "#1f5f8b")
		}
		return nil
	}
	return w
}

// texts reads one argument or more, over one line or several. Where values are
// given, each argument is one of them.
func (b *block) texts(into *[]string, values ...string) word {
	return word{repeat: true, read: func() error {
		name := b.Val()
		args := b.RemainingArgs()
		if len(args) == 0 {
			return b.Errf("%s: %s needs at least one value", b.name, name)
		}
		for _, arg := range args {
			if strings.TrimSpace(arg) == "" {
				return b.Errf("%s: an empty value in %s", b.name, name)
			}
			if strings.HasSuffix(arg, ",") {
				return b.Errf("%s: %s %q: values stand apart by spaces alone, without commas", b.name, name, arg)
			}
			if slices.Contains(*into, arg) {
				return b.Errf("%s: %s %s stands twice", b.name, name, arg)
			}
			if len(values) > 0 && !hasPlaceholder(arg) && !slices.Contains(values, arg) {
				return b.notOneOf(name, arg, values)
			}
			*into = append(*into, arg)
			b.lines[name+" "+arg] = at(b.Dispenser)
		}
		return nil
	}}
}

// oneOf reads one argument that is one of the values.
func (b *block) oneOf(into *string, values ...string) word {
	return b.checked(into, func(name, got string) error {
		if slices.Contains(values, got) {
			return nil
		}
		return b.notOneOf(name, got, values)
	})
}

func (b *block) notOneOf(name, got string, values []string) error {
	hint := didYouMean(got, values)
	if slices.Contains(values, "off") && slices.Contains([]string{"no", "none", "false"}, got) {
		hint = ", did you mean off?" // "no" is spelled more like its opposite
	}
	return b.Errf("%s: %s %q%s: expected %s", b.name, name, got, hint, list(values))
}

// duration reads one argument that is a duration, or one of the words that
// stand for one.
func (b *block) duration(into *string, or ...string) word {
	return b.checked(into, func(name, got string) error {
		if slices.Contains(or, got) {
			return nil
		}
		return b.isDuration(name, got, or...)
	})
}

// number reads one argument that is a whole number above zero.
func (b *block) number(into *Number) word {
	return b.checked((*string)(into), b.isNumber)
}

// rate reads a number and a duration.
func (b *block) rate(into **Rate) word {
	return word{read: func() error {
		name := b.Val()
		var count, within string
		if !b.AllArgs(&count, &within) {
			return b.Errf("%s: %s needs a number and a duration, such as 5 15m", b.name, name)
		}
		*into = &Rate{Count: Number(count), Within: within}
		if err := b.isNumber(name, count); !hasPlaceholder(count) && err != nil {
			return err
		}
		if err := b.isDuration(name, within); !hasPlaceholder(within) && err != nil {
			return err
		}
		return nil
	}}
}

func (b *block) isDuration(name, got string, or ...string) error {
	if _, problem := parseDuration(got, or...); problem != "" {
		return b.Errf("%s: %s %q%s", b.name, name, got, problem)
	}
	return nil
}

func (b *block) isNumber(name, got string) error {
	if n, err := strconv.Atoi(got); err != nil || n < 1 {
		return b.Errf("%s: %s %q: expected a whole number above 0", b.name, name, got)
	}
	return nil
}

// flag reads a word without arguments.
func (b *block) flag(into *bool) word {
	return word{read: func() error { *into = true; return nil }}
}

// checked reads one argument and, unless it holds a placeholder, checks it.
func (b *block) checked(into *string, check func(name, got string) error) word {
	return word{read: func() error {
		name := b.Val()
		if err := b.text(into).read(); err != nil {
			return err
		}
		if hasPlaceholder(*into) {
			return nil
		}
		return check(name, *into)
	}}
}

// hasPlaceholder reports whether a value can only be judged once it is resolved.
func hasPlaceholder(s string) bool { return strings.ContainsAny(s, "{}") }

// list prints names as a choice: a, b or c.
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return fmt.Sprintf("%s or %s", strings.Join(names[:last], ", "), names[last])
}
