package caddymodule

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// A word that would change nothing is a mistake about what the command does.
func TestCommandsRefuseWhatTheyWouldIgnore(t *testing.T) {
	w := &world{T: t, dir: t.TempDir()}
	file := filepath.Join(w.dir, "file")
	const store, output = " works on the store that --config names, and asks no running instance", ": - is standard output, which has the export and nothing else"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"import", file, "--address", "localhost:1"}, "import: unexpected --address: import" + store},
		{[]string{"restore", file, "--address", "localhost:1"}, "restore: unexpected --address: restore" + store},
		{[]string{"export", file, "--stopped", "--address", "localhost:1"}, "export: unexpected --address: --stopped" + store},
		{[]string{"export", "-", "--stopped", "--address="}, "export: unexpected --address: --stopped" + store},
		{[]string{"backup", file, "--stopped", "--address", "localhost:1"}, "backup: unexpected --address: --stopped" + store},
		{[]string{"export", "-", "--force"}, "export: unexpected --force" + output},
		{[]string{"export", "-", "--json"}, "export: unexpected --json" + output},
		{[]string{"backup", "-"}, "backup: - is no file, and a backup is looked at on the disk before it counts: name one, or write an export to standard output with: issuer export -"},
		{[]string{"backup", "-", "--stopped", "--force"}, "backup: - is no file"},
		{[]string{"restore", "-"}, "restore: - is no file, and a backup is looked at on the disk before it takes the store's place: name one"},
		{[]string{"backup", ""}, "backup: FILE is empty: expected backup FILE [--force] [--stopped]"},
		{[]string{"export", ""}, "export: FILE is empty: expected export FILE [--force] [--stopped]"},
		{[]string{"import", ""}, "import: FILE is empty: expected import FILE [--config CADDYFILE]"},
		{[]string{"restore", ""}, "restore: FILE is empty: expected restore FILE [--config CADDYFILE]"},
	} {
		_, err := w.command("", c.args...)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.args, err, c.want)
		}
	}
	if entries, err := os.ReadDir(w.dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

// What cannot be written is no fault of what was being read.
func TestExportIntoAFullDeviceSaysSo(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("this system has no device that is full")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	run := func(args ...string) error {
		root := &cobra.Command{Use: "issuer", SilenceErrors: true}
		addCommands(root)
		root.SetOut(full)
		root.SetErr(w.Output())
		root.SetArgs(args)
		return root.Execute()
	}
	const want = "writing standard output: no space left on device"
	of := freshStore(t)
	w.must("", []string{"export", filepath.Join(w.dir, "moving")})
	w.must("", []string{"import", filepath.Join(w.dir, "moving"), "--config", of})
	if err := run("export", "-", "--address", "unix/"+w.dir+"/admin"); err == nil || err.Error() != want {
		t.Errorf("of a running instance: %v", err)
	}
	if err := run("export", "-", "--stopped", "--config", of); err == nil || err.Error() != want {
		t.Errorf("of a stopped one: %v", err)
	}
}
