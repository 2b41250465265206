package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Every testdata/adapt/NAME.txt is a Caddyfile; beside it stands NAME.json, what
// it adapts to, or NAME.error, why it is refused.
func TestCaddyfilesAdaptAsTheirGoldenFilesSay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/adapt/*.txt")
	if err != nil || len(files) < 30 {
		t.Fatalf("the corpus has %d files (%v)", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, golden := adaptFile(t, source), strings.TrimSuffix(file, ".txt")
			refused := bytes.HasPrefix(got, []byte("error: "))
			if refused != strings.HasPrefix(name, "bad_") {
				t.Errorf("a file is refused exactly when its name begins with bad_; got\n%s", got)
			}
			if golden += ".json"; refused {
				golden = strings.TrimSuffix(golden, ".json") + ".error"
				got = bytes.TrimPrefix(got, []byte("error: "))
			}
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// adaptFile adapts a Caddyfile to indented JSON or to "error: " and its text.
func adaptFile(t *testing.T, source []byte) []byte {
	t.Helper()
	out, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(source, map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return []byte("error: " + err.Error() + "\n")
	}
	for _, w := range warnings {
		t.Errorf("warning: %v", w)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, out, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	return pretty.Bytes()
}
