package caddymodule

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What a page shows as a Caddyfile is one that works as it stands.
func TestCaddyfilesOfThePagesAdapt(t *testing.T) {
	t.Parallel()
	for page, least := range map[string]int{"../README.md": 1, "../docs/operating.md": 2} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```caddyfile\n")[1:]
		if len(blocks) < least {
			t.Errorf("%s has %d Caddyfiles", page, len(blocks))
		}
		for _, block := range blocks {
			source, _, _ := strings.Cut(block, "```")
			if out := adaptFile(t, []byte(source)); bytes.HasPrefix(out, []byte("error: ")) {
				t.Errorf("%s: %s\n%s", page, out, source)
			}
		}
	}
}

// The page for operators names every command, with its flags.
func TestOperatingPageNamesEveryCommand(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	root := &cobra.Command{Use: "issuer"}
	addCommands(root)
	named := func(what string) {
		if !strings.Contains(string(text), what) {
			t.Errorf("%s is not there", what)
		}
	}
	flag := regexp.MustCompile(`--[a-z][a-z-]*`)
	for _, name := range flag.FindAllString(root.PersistentFlags().FlagUsages(), -1) {
		named("`" + name + "`")
	}
	for _, group := range root.Commands() {
		for _, c := range group.Commands() {
			named("`" + group.Name() + " " + c.Name())
			for _, name := range flag.FindAllString(c.LocalNonPersistentFlags().FlagUsages(), -1) {
				named(name)
			}
		}
	}
}

// What an operator may read as a reason in the log stands on the page.
func TestOperatingPageNamesEveryReason(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for reason := range mends {
		if !strings.Contains(string(text), "`"+string(reason)+"`") {
			t.Errorf("%s is not there", reason)
		}
	}
}
