package caddymodule

import (
	"fmt"

	"github.com/dustin/go-humanize"
)

// leastMemory is the smallest cache that is of use.
const leastMemory = 1 << 20

// mostMemory is more than any machine gives to remember tokens.
const mostMemory = 1 << 40

// parseSize reads an amount of memory, or says what is wrong with it.
func parseSize(text string) (bytes int64, problem string) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n < leastMemory || n > mostMemory {
		return 0, ": expected an amount of memory from 1MiB to 1TiB, such as 400MiB"
	}
	return int64(n), ""
}

func (b *block) isSize(name, got string) error {
	if _, problem := parseSize(got); problem != "" {
		return b.Errf("%s: %s %q%s", b.name, name, got, problem)
	}
	return nil
}

func (r *reader) size(option, value string) int64 {
	text, known := r.text(option, value)
	if !known || text == "" {
		return 0
	}
	n, problem := parseSize(text)
	if problem != "" {
		r.fail(option, value, fmt.Sprintf("%q%s", text, problem))
	}
	return n
}
