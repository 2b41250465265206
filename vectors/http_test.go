package vectors

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = time.Minute

// The same vectors, sent to the program: one gate for each key.
func TestVectorsOverHTTP(t *testing.T) {
	var groups []group
	for _, file := range files {
		groups = append(groups, read(t, file)...)
	}
	site := serve(t, groups)
	good, err := sign(oneMore.private, "ES256", "one-more", claims(t))
	if err != nil {
		t.Fatal(err)
	}
	sent, unsendable := 0, 0
	for n, g := range groups {
		path := fmt.Sprintf("%s/%d/", site, n)
		for _, v := range g.Tests {
			status, err := get(t, path, v.token())
			switch {
			case err != nil && strings.Contains(err.Error(), "invalid header field value"):
				unsendable++
			case err != nil || status != http.StatusUnauthorized:
				t.Errorf("%s, %d %s: %d, %v", g.Comment, v.ID, v.Comment, status, err)
			default:
				sent++
			}
			if status, err := get(t, path, good); err != nil || status != http.StatusOK {
				t.Fatalf("%s, after %d: the token of another key of the set: %d, %v", g.Comment, v.ID, status, err)
			}
		}
	}
	if sent+unsendable != 427 || unsendable > 2 {
		t.Errorf("%d vectors were sent, and %d cannot be", sent, unsendable)
	}
}

func get(t *testing.T, address, raw string) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+raw)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// serve runs the program, `GATEHOUSE` or that of `make build`, with a gate at
// /N/ that trusts the keys of the group N and one more.
func serve(t *testing.T, groups []group) (site string) {
	t.Helper()
	path := os.Getenv("GATEHOUSE")
	if path == "" {
		path = "../gatehouse"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run it as `make vectors`", err)
	}
	dir := t.TempDir()
	address := freeAddress(t)
	var text strings.Builder
	fmt.Fprintf(&text, "{\n\tadmin off\n\tpersist_config off\n}\nhttp://%s {\n", address)
	for n, g := range groups {
		name := fmt.Sprintf("%d.json", n)
		if err := os.WriteFile(filepath.Join(dir, name), keySet(t, append(g.keys(), oneMore.public)...), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "\thandle /%d/* {\n\t\ttoken_gate {\n\t\t\tembedded off\n\t\t\tissuer %s {\n\t\t\t\taudience %s\n\t\t\t\tjwks_file %s\n\t\t\t}\n\t\t}\n\t\trespond passed\n\t}\n",
			n, issuer, audience, filepath.Join(dir, name))
	}
	text.WriteString("}\n")
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, path, dir)
	return "http://" + address
}

// freeAddress lies below those that the system gives to outgoing connections.
func freeAddress(t *testing.T) string {
	t.Helper()
	for tries := 0; ; tries++ {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:"+strconv.Itoa(10_000+rand.IntN(20_000)))
		if err == nil {
			defer listener.Close()
			return listener.Addr().String()
		}
		if tries > 100 {
			t.Fatal(err)
		}
	}
}

// run starts the program in a folder and returns when it says that it serves.
func run(t *testing.T, path, dir string) {
	t.Helper()
	ready, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	program := exec.Command(path, "run", "--adapter", "caddyfile", "--config", "Caddyfile", "--pingback", ready.Addr().String())
	program.Dir, program.Stdout, program.Stderr, program.Stdin = dir, log, log, strings.NewReader("ready")
	program.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := program.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := program.Wait(); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(log.Name()); err != nil || strings.Contains(string(text), "panic") || t.Failed() {
			t.Errorf("%v: the log ends with: %s", err, text[max(0, len(text)-4000):])
		}
	})
	if err := ready.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := ready.Accept()
	if err != nil {
		t.Fatalf("the program does not serve: %v", err)
	}
	conn.Close()
	ready.Close()
}
