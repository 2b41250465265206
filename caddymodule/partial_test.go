package caddymodule

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A copy takes the name of a file alone, and what is wrong with a name is known before an
// hour was spent on what should have had it.
func TestNameThatNoCopyCanHaveIsRefusedAtOnce(t *testing.T) {
	folder, err := os.MkdirTemp("", "gh") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	at := func(name string) string { return filepath.Join(folder, name) }
	if err := os.Mkdir(at("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("file"), []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", at("link")); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	socket := at("socket")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		name   string
		forced bool // whatever is said
		want   string
	}{
		{at("folder"), true, " is a folder: name a file in it"},
		{at("folder") + string(filepath.Separator), true, " is a folder: name a file in it"},
		{at("link"), true, " is there already and not a regular file: name another one"},
		{socket, true, " is there already and not a regular file: name another one"},
		{at(strings.Repeat("n", 256)), true, "file name too long"},
		{at("file") + "/copy", true, "not a directory"},
		{at("nowhere") + "/copy", true, "no such file or directory"},
		{at("file"), false, " is there already: name another file, or replace it with --force"},
	} {
		for _, force := range []bool{false, true} {
			if force && !c.forced {
				continue
			}
			err := writeNew(c.name, force, func(*os.File) error {
				t.Errorf("%s, force %v: it was written", c.name, force)
				return nil
			})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, force %v: got %v, want %s", c.name, force, err, c.want)
			}
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 4 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// A name may have 255 bytes. What stands beside it while it is written has fewer, is known
// for what it is by the next copy of that name, and no other one's.
func TestCopyWithALongNameIsWritten(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{
		strings.Repeat("n", 100), strings.Repeat("n", 101), strings.Repeat("n", 244), strings.Repeat("n", 245), strings.Repeat("n", 255),
		strings.Repeat("钥", 85), "*" + strings.Repeat("%", 254), "-" + strings.Repeat(" ", 254),
	} {
		begin := partials(name)
		left, another := filepath.Join(folder, begin+"7"), filepath.Join(folder, partials(strings.TrimSuffix(name, "n")+"x")+"7")
		for _, file := range []string{left, another} {
			if err := os.WriteFile(file, []byte("keys"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := writeNew(filepath.Join(folder, name), false, func(f *os.File) error {
			if got := filepath.Base(f.Name()); len(got) > 143 || !strings.HasPrefix(got, begin) {
				t.Errorf("%d bytes: %s", len(got), got)
			}
			_, err := os.Lstat(left)
			if holds && err == nil {
				t.Error("what was left is there")
			}
			_, err = f.WriteString("all of it")
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(text) != "all of it" {
			t.Errorf("%q, %v", text, err)
		}
		if _, err := os.Lstat(another); err != nil {
			t.Errorf("another one's is gone: %v", err)
		}
		_ = os.Remove(another)
	}
}
