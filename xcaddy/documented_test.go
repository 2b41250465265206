package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// documented writes lines that operators copy out of docs/operating.md into a file of
// the story: those of the one block that has TEXT in it, with each OLD in them replaced
// by the NEW behind it. So a story runs what the page says, and no copy of it.
//
//	documented TEXT FILE [OLD NEW]...
func documented(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 2 && len(args)%2 == 0, "documented TEXT FILE [OLD NEW]...")
	lines, err := documentedIn(ts.Getenv("REPOSITORY"), args[0], args[2:]...)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(lines), 0o600))
}

// documentedIn is the block of the page that has a text in it, with what is replaced.
func documentedIn(repository, has string, changes ...string) (string, error) {
	page, err := os.ReadFile(filepath.Join(repository, "docs", "operating.md"))
	if err != nil {
		return "", err
	}
	var found []string
	for n, block := range strings.Split(string(page), "```") {
		if n%2 == 1 && strings.Contains(block, has) {
			_, lines, _ := strings.Cut(block, "\n") // behind the language
			found = append(found, lines)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d blocks of docs/operating.md have %q in them", len(found), has)
	}
	for n := 0; n < len(changes); n += 2 {
		if !strings.Contains(found[0], changes[n]) {
			return "", fmt.Errorf("the block with %q has no %q", has, changes[n])
		}
	}
	return strings.NewReplacer(changes...).Replace(found[0]), nil
}
