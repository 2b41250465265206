package caddymodule

import (
	"errors"
	"fmt"
	"strings"
)

// Lines says where the words of a block were written: `word`, or `word value`
// where its values stand on several lines, to a place such as `Caddyfile:42`.
// What stands where its block begins is left out.
type Lines map[string]string

// of is the place of a word's value, or of the word, or else of its block.
func (l Lines) of(word, value, block string) string {
	if line, ok := l[word+" "+value]; ok {
		return line
	}
	if line, ok := l[word]; ok {
		return line
	}
	return block
}

// kept is what a block's messages need of its lines; nil where that is nothing.
func (l Lines) kept() Lines {
	var kept Lines
	for key, line := range l {
		word, _, _ := strings.Cut(key, " ")
		enclosing := l[""]
		if key != word {
			enclosing = l[word]
		}
		if key == "" || line == enclosing {
			continue
		}
		if kept == nil {
			kept = Lines{}
		}
		kept[key] = line
	}
	return kept
}

// placed is an error in the form of the Caddyfile parser's own.
func placed(text, at string) error {
	if at == "" {
		return errors.New(text)
	}
	return fmt.Errorf("%s, at %s", text, at)
}
