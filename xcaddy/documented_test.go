package main

import (
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
	var found []string
	for n, block := range strings.Split(ts.ReadFile(filepath.Join(ts.Getenv("REPOSITORY"), "docs", "operating.md")), "```") {
		if n%2 == 1 && strings.Contains(block, args[0]) {
			_, lines, _ := strings.Cut(block, "\n") // behind the language
			found = append(found, lines)
		}
	}
	if len(found) != 1 {
		ts.Fatalf("%d blocks of docs/operating.md have %q in them", len(found), args[0])
	}
	for n := 2; n < len(args); n += 2 {
		if !strings.Contains(found[0], args[n]) {
			ts.Fatalf("the block with %q has no %q", args[0], args[n])
		}
	}
	lines := strings.NewReplacer(args[2:]...).Replace(found[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(lines), 0o600))
}
