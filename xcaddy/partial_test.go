package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A copy that is killed leaves what it had, under a name that nobody sees. It is as good
// as the copy: the next one takes it away before it begins, and so needs no more room
// than the first.
func TestKilledCopyIsRemovedByTheNextOne(t *testing.T) {
	for command, begin := range map[string]string{"export": `{"format":"gatehouse-export","version":1}` + "\n", "backup": "SQLite format 3\x00"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, begin)
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}))
			defer endless.Close()
			folder := t.TempDir()
			left := func() (names []string) {
				names, err := filepath.Glob(filepath.Join(folder, ".*"))
				if err != nil {
					t.Fatal(err)
				}
				return names
			}
			run := func() (kill func()) {
				cmd := exec.CommandContext(t.Context(), "gatehouse", "issuer", command, "copy", "--address", endless.Listener.Addr().String())
				cmd.Dir, cmd.Env = folder, append(os.Environ(), "HOME="+t.TempDir())
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				return func() {
					_ = cmd.Process.Kill()
					_ = cmd.Wait()
				}
			}
			kill := run()
			eventually(t, "it writes", func() bool { return len(left()) == 1 })
			kill()
			first := left()
			if len(first) != 1 {
				t.Fatalf("killed, it has left %q: it tests nothing", first)
			}
			kill = run()
			defer kill()
			eventually(t, "the next one writes, and nothing is left of the first", func() bool {
				now := left()
				return len(now) == 1 && now[0] != first[0]
			})
		})
	}
}
