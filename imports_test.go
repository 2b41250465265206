package gatehouse

import (
	"bytes"
	"encoding/json"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/gatehouse-auth/gatehouse/"

// place is what a package may import of ours, and what of the rest it may not.
type place struct {
	ours  []string // paths inside the module
	never []string // path prefixes outside of it
}

const caddy = "github.com/caddyserver/caddy"

// places says who may import whom. A package that is not here fails the test: a
// new one has to state its place.
var places = map[string]place{
	"tokenissuer/oauth":   {},
	"tokenissuer/token":   {ours: []string{"tokenissuer/token/openssl", "tokenissuer/token/pkcs1"}, never: []string{"net/http", "database/sql"}},
	"tokenissuer/message": {},

	"tokenissuer/token/openssl": {never: []string{"net/http", "database/sql", "runtime/cgo"}},
	"tokenissuer/token/pkcs1":   {never: []string{"net/http", "database/sql"}},

	"tokenissuer/store":                       {never: []string{"net/http"}},
	"tokenissuer/store/sqlite":                {ours: []string{"tokenissuer/store"}, never: []string{"net/http"}},
	"tokenissuer/store/postgres":              {ours: []string{"tokenissuer/store"}, never: []string{"net/http"}},
	"tokenissuer/store/postgres/postgrestest": {never: []string{"net/http"}},

	"tokenissuer/store/move":      {ours: []string{"tokenissuer/store"}, never: []string{"net/http"}},
	"tokenissuer/store/feed":      {ours: []string{"tokenissuer/store"}, never: []string{"net/http"}},
	"tokenissuer/store/storetest": {ours: []string{"tokenissuer/store"}, never: []string{"net/http"}},

	// A process that hashes has no business with the store.
	"tokenissuer/hashing": {never: []string{"net/http", "database/sql"}},
	"tokenissuer/account": {ours: []string{"tokenissuer/oauth", "tokenissuer/store", "tokenissuer/hashing"}},
	"tokenissuer/client":  {ours: []string{"tokenissuer/oauth", "tokenissuer/store", "tokenissuer/token"}},
	// A grant decides. It cannot sign, because it does not import token, and it cannot answer, because it does not import net/http.
	"tokenissuer/grant": {
		ours:  []string{"tokenissuer/oauth", "tokenissuer/store", "tokenissuer/client", "tokenissuer/account"},
		never: []string{"net/http", "database/sql"},
	},
	"tokenissuer/portal": {
		ours: []string{"tokenissuer/oauth", "tokenissuer/store", "tokenissuer/client", "tokenissuer/account", "tokenissuer/message"},
	},
	// Which database the issuer runs on is its caller's choice.
	"tokenissuer": {
		ours: []string{
			"tokenissuer/oauth", "tokenissuer/token", "tokenissuer/message", "tokenissuer/store", "tokenissuer/store/feed", "tokenissuer/store/move",
			"tokenissuer/hashing", "tokenissuer/account", "tokenissuer/client", "tokenissuer/grant", "tokenissuer/portal",
		},
	},

	"caddymodule/gate":        {ours: []string{"tokenissuer/token", "tokenissuer/oauth", "caddymodule/gate/remote"}},
	"caddymodule/gate/login":  {ours: []string{"tokenissuer/token", "tokenissuer/oauth", "caddymodule/gate", "caddymodule/gate/remote"}},
	"caddymodule/gate/remote": {ours: []string{"tokenissuer/token", "tokenissuer/oauth"}},
	"caddymodule": {
		ours: []string{
			"caddymodule/gate", "caddymodule/gate/login", "caddymodule/gate/remote", "tokenissuer", "tokenissuer/token", "tokenissuer/oauth", "tokenissuer/message",
			"tokenissuer/hashing",
			"tokenissuer/store", "tokenissuer/store/sqlite", "tokenissuer/store/postgres", "tokenissuer/store/feed", "tokenissuer/store/move",
		},
	},

	"xcaddy":        {ours: []string{"caddymodule", "xcaddy/pacing"}},
	"xcaddy/pacing": {},
	".":             {},
}

// importsCaddy are the packages that may: everything else would make Caddy a condition of using it.
var importsCaddy = []string{"caddymodule", "xcaddy"}

// inTests is what any test may import besides its package's own place: the
// real store is a better stand-in than a fake one, and a library's memory has to
// be counted where it should be gone.
var inTests = []string{
	"tokenissuer/store/sqlite", "tokenissuer/store/postgres", "tokenissuer/store/postgres/postgrestest", "tokenissuer/store/storetest", "tokenissuer/token/openssl", "tokenissuer/token/pkcs1",
}

func TestPackagesImportOnlyWhatTheirPlaceAllows(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if file != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || hasGoMod(file)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		folder := filepath.ToSlash(filepath.Dir(file))
		where, listed := places[folder]
		if !listed {
			t.Errorf("%s: package %s has no place in the table of this test", file, folder)
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			seen++
			if why := refused(folder, where, name, strings.HasSuffix(file, "_test.go")); why != "" {
				t.Errorf("%s: imports %s: %s", file, name, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Fatal("no import found: the test looks at the wrong folder")
	}
}

// refused says why a file in folder may not import name, or nothing.
func refused(folder string, where place, name string, inTest bool) string {
	if within(name, caddy) && !slices.Contains(importsCaddy, folder) {
		return "only " + strings.Join(importsCaddy, " and ") + " may import Caddy"
	}
	if ours, inside := strings.CutPrefix(name, module); inside {
		switch {
		case slices.Contains(where.ours, ours):
			return ""
		case inTest && (ours == folder || slices.Contains(inTests, ours)):
			return "" // an external test imports its own package
		}
		return folder + " may import of ours: " + strings.Join(where.ours, " ")
	}
	if inTest {
		return "" // tests may speak HTTP and SQL
	}
	for _, prefix := range where.never {
		if within(name, prefix) {
			return folder + " must do without " + prefix
		}
	}
	return ""
}

func within(name, prefix string) bool { return name == prefix || strings.HasPrefix(name, prefix+"/") }

func hasGoMod(folder string) bool {
	_, err := os.Stat(path.Join(folder, "go.mod"))
	return err == nil
}

func TestForbiddenImportsAreRefused(t *testing.T) {
	for _, c := range []struct {
		folder, name string
		inTest, ok   bool
	}{
		{"tokenissuer/grant", module + "tokenissuer/token", false, false},
		{"tokenissuer/grant", module + "tokenissuer/store", false, true},
		{"tokenissuer/grant", "net/http", false, false},
		{"tokenissuer/store", "net/http/httputil", false, false},
		{"tokenissuer/store", "net/http/httptest", true, true},
		{"tokenissuer/grant", module + "tokenissuer/store/sqlite", true, true},
		{"tokenissuer/grant", module + "tokenissuer/store/sqlite", false, false},
		{"tokenissuer/grant", module + "tokenissuer/portal", true, false},
		{"tokenissuer", caddy + "/v2", false, false},
		{"tokenissuer", caddy + "/v2/caddytest", true, false},
		{"caddymodule", caddy + "/v2", false, true},
		{"caddymodule/gate", module + "tokenissuer/store", false, false},
		{"xcaddy", module + "tokenissuer", false, false},
	} {
		if why := refused(c.folder, places[c.folder], c.name, c.inTest); (why == "") != c.ok {
			t.Errorf("%s importing %s (test %v): %q", c.folder, c.name, c.inTest, why)
		}
	}
}

// The default program stands alone: it runs in an empty image. What loads
// libraries makes it a dynamic one, and is in builds that ask for it.
func TestOnlyTheTaggedProgramLoadsLibraries(t *testing.T) {
	t.Setenv("CGO_ENABLED", "0")
	for tags, wanted := range map[string]bool{"nobadger,nomysql,nopgx": false, "nobadger,nomysql,nopgx,openssl": true} {
		deps := strings.Fields(string(run(t, "list", "-deps", "-tags", tags, "./xcaddy")))
		if len(deps) < 100 {
			t.Fatalf("the program has only %d packages", len(deps))
		}
		if slices.Contains(deps, "runtime/cgo") {
			t.Errorf("built with %s: linked with runtime/cgo", tags)
		}
		if loads := slices.Contains(deps, "github.com/ebitengine/purego"); loads != wanted {
			t.Errorf("built with %s: loads libraries: %v", tags, loads)
		}
	}
}

// An operator who adds the module to Caddy gets the dependencies that Caddy was
// released and tested with, not those that ours happen to want.
func TestCaddysDependenciesAreCaddysOwn(t *testing.T) {
	type version struct{ Path, Version string }
	var own struct{ GoMod string }
	decode(t, &own, "list", "-m", "-json", caddy+"/v2")
	var wants struct{ Require []version }
	decode(t, &wants, "mod", "edit", "-json", own.GoMod)
	if len(wants.Require) == 0 {
		t.Fatal("Caddy's go.mod requires nothing")
	}
	args := []string{"list", "-m", "-f", "{{.Path}} {{.Version}}"}
	for _, want := range wants.Require {
		args = append(args, want.Path)
	}
	selected := strings.Split(strings.TrimSpace(string(run(t, args...))), "\n")
	for i, want := range wants.Require {
		if got := selected[i]; got != want.Path+" "+want.Version {
			t.Errorf("selected %s, but Caddy requires %s", got, want.Version)
		}
	}
}

func decode(t *testing.T, into any, args ...string) {
	t.Helper()
	if err := json.Unmarshal(run(t, args...), into); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}
