package caddymodule

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// inStore runs SQL in the store of a world that is being served.
func (w *world) inStore(text string) {
	w.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "store", "issuer.db"))
	if err == nil {
		_, err = db.ExecContext(w.Context(), "PRAGMA busy_timeout = 5000; "+text)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		w.Fatal(err)
	}
}

// remembered are the actions that the store remembers.
func (w *world) remembered() (actions []string) {
	w.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "store", "issuer.db"))
	if err != nil {
		w.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(w.Context(), `SELECT action FROM events ORDER BY n`)
	if err != nil {
		w.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var action string
		if err := rows.Scan(&action); err != nil {
			w.Fatal(err)
		}
		actions = append(actions, action)
	}
	if err := rows.Err(); err != nil {
		w.Fatal(err)
	}
	return actions
}

func TestCopiesOfTheStoreAreRemembered(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	w.must("", []string{"user", "add", "alice"})
	backup, moving := filepath.Join(t.TempDir(), "copy"), filepath.Join(t.TempDir(), "moving")
	w.must("", []string{"backup", backup}, "ACCOUNTS", "SEALED")
	w.must("", []string{"export", moving, "--json"}, `"accounts": 1`, `"sha256"`)
	w.must("", []string{"export", "-"}, `{"format":"gatehouse-export","version":1}`, `"alice"`)
	if got := w.remembered(); len(got) < 3 || !slices.Equal(got[len(got)-3:], []string{"store.backup", "store.export", "store.export"}) {
		t.Errorf("%q", got)
	}
	for _, name := range []string{backup, moving} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// An export that broke off is no export, however much of it has arrived.
func TestBrokenExportLeavesNoFile(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	var b strings.Builder
	for n := range 1000 {
		attributes := "{}"
		if n == 999 {
			attributes = "broken"
		}
		fmt.Fprintf(&b, `INSERT INTO accounts (id, name, nickname, zone_info, locale, password_hash, password_set, password_expire, state, created, updated, attributes)
			VALUES ('%d', '%s', '', '', '', '', 0, 0, 'active', 1, 1, '%s');`, n, strings.Repeat("x", 200), attributes)
	}
	w.inStore(b.String())
	folder := t.TempDir()
	w.fails([]string{"export", filepath.Join(folder, "moving")}, "the server broke off, and its log says why: ")
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
	if log, err := os.ReadFile(w.log); err != nil || !strings.Contains(string(log), "a copy of the store was not finished") {
		t.Errorf("the log does not say why: %v", err)
	}
	// The next one finds nobody in its way, and says at once what it knows at once.
	w.inStore(`UPDATE accounts SET attributes = '{}'; ALTER TABLE sessions ADD COLUMN risk BIGINT`)
	w.fails([]string{"export", filepath.Join(folder, "moving")}, "EOF")
	w.inStore(`ALTER TABLE sessions DROP COLUMN risk; ALTER TABLE keys ADD COLUMN risk BIGINT`)
	w.fails([]string{"export", filepath.Join(folder, "moving")}, "keys: this database has a column risk that this program does not know: take the newer program")
	w.inStore(`ALTER TABLE keys DROP COLUMN risk`)
	w.must("", []string{"export", filepath.Join(folder, "moving")}, "accounts          1000")
}

func TestOneCopyAtATime(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	copying.Lock()
	w.fails([]string{"export", "-"}, "another copy of the store is being made: try again when it is done")
	copying.Unlock()
	w.must("", []string{"export", "-"})
}

// A page in the operator's browser can make it post, and no JSON.
func TestPagesMakeNoCopies(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	for _, path := range []string{"/token_issuer/backup", "/token_issuer/export"} {
		if status, text := w.admin(http.MethodPost, path, "{}", "Content-Type: text/plain"); status != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if got := w.remembered(); slices.Contains(got, "store.backup") || slices.Contains(got, "store.export") {
		t.Errorf("%q", got)
	}
}

func TestCopyThatNobodyReadsIsBrokenOff(t *testing.T) {
	ended := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		to := &outlet{w: rw, control: http.NewResponseController(rw), most: 50 * time.Millisecond}
		for chunk := make([]byte, 1<<20); ; {
			if _, err := to.Write(chunk); err != nil {
				ended <- err
				return
			}
		}
	}))
	defer server.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// hanging is an admin API that sends the beginning of a copy, or nothing, and then has
// somebody press Ctrl-C.
func hanging(t *testing.T, begin string) (address string) {
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if begin != "" {
			_, _ = io.WriteString(rw, begin)
			_ = http.NewResponseController(rw).Flush()
		}
		if self, err := os.FindProcess(os.Getpid()); err != nil || self.Signal(os.Interrupt) != nil {
			t.Error("nobody pressed it")
		}
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(ended) })
	return server.Listener.Addr().String()
}

// A copy may take an hour, and whoever does not want it any more ends it.
func TestCopyEndsAtCtrlC(t *testing.T) {
	const head = `{"format":"gatehouse-export","version":1}` + "\n"
	w := &world{T: t}
	folder := t.TempDir()
	for name, c := range map[string]struct {
		command, begin string
	}{
		"an export that is under way": {"export", head},
		"an export that has no head":  {"export", ""},
		"a backup that is under way":  {"backup", "SQLite format 3\x00"},
		"a backup that has no head":   {"backup", ""},
	} {
		done := make(chan error, 1)
		go func() {
			_, err := w.command("", c.command, filepath.Join(folder, "copy"), "--address", hanging(t, c.begin))
			done <- err
		}()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "interrupt signal received") {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(far):
			t.Fatalf("%s goes on", name)
		}
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != 0 {
			t.Errorf("%s left %v, %v", name, entries, err)
		}
	}
}

// stuck is a pipe that nobody reads.
type stuck struct{ over <-chan struct{} }

func (s stuck) Write([]byte) (int, error) {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Signal(os.Interrupt)
	}
	<-s.over
	return 0, io.ErrClosedPipe
}

func TestExportIntoAPipeThatNobodyReadsEndsAtCtrlC(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	root := &cobra.Command{Use: "issuer", SilenceErrors: true}
	addCommands(root)
	over := make(chan struct{})
	defer close(over)
	root.SetOut(stuck{over})
	root.SetErr(io.Discard)
	root.SetArgs([]string{"export", "-", "--address", "unix/" + w.dir + "/admin"})
	done := make(chan error, 1)
	go func() { done <- root.Execute() }()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "interrupt signal received") {
			t.Error(err)
		}
	case <-time.After(far):
		t.Fatal("it goes on")
	}
}
