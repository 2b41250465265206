//go:build openssl && linux

package openssl

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestALibraryThatWillNotDoIsRefusedWithTheMend(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"none", "libcrypto.so.99", "libcrypto.so.99 cannot be loaded: "},
		{"another", "libc.so.6", "libc.so.6 is not OpenSSL: "},
		{"1.1", built(t, "unsigned long OpenSSL_version_num(void) { return 0x101010ffUL; }"), "is OpenSSL 1.1.1, and 3.0.0 is the least that will do"},
		{"half", built(t, "unsigned long OpenSSL_version_num(void) { return 0x30000130UL; }"), "is not all of OpenSSL 3: "},
	} {
		l, err := open(c.file)
		if err == nil {
			t.Errorf("%s: accepted: %v", c.name, l)
			continue
		}
		for _, want := range []string{c.want, "install OpenSSL 3"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in: %v", c.name, want, err)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %v", c.name, err)
		}
	}
}

// built compiles a library that is little more than its version.
func built(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "old.c"), filepath.Join(dir, "libcrypto.so.3")
	if err := os.WriteFile(from, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "gcc", "-shared", "-fPIC", "-o", to, from).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v: %s", err, out)
	}
	return to
}

// A mend takes effect at the next reload.
func TestLoadingIsTriedAgain(t *testing.T) {
	if _, err := open("libcrypto.so.99"); err == nil {
		t.Fatal("there is a libcrypto.so.99")
	}
	if err := Load(); err != nil {
		t.Skip(err)
	}
	if again, err := load(); err != nil || again != loaded {
		t.Errorf("loaded twice: %v", err)
	}
}

func TestVersionsAreSpelledAsTheirMakersDo(t *testing.T) {
	for number, want := range map[uintptr]string{0x1010117f: "1.1.1", 0x30000130: "3.0.19", 0x30500000: "3.5.0", 0x20000000: "2.0.0"} {
		if got := spell(number); got != want {
			t.Errorf("%x: %s, not %s", number, got, want)
		}
	}
}
