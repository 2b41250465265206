package postgrestest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pooler is a PgBouncer before one server, with nothing set but what it has to know.
type Pooler struct {
	as       Server // the process: its port, its folder, its user
	settings string
}

// Pool starts one that pools sessions, or transactions, before the server of an address.
// It is stopped with the test.
func Pool(tb testing.TB, address, mode string) *Pooler {
	tb.Helper()
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil { // Debian's is not in everybody's path
			tb.Fatal("there is no PgBouncer to test with: apt-get install pgbouncer")
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		tb.Fatal("an address of this package is a URL")
	}
	folder, err := os.MkdirTemp("", "gatehouse-pgbouncer-") //nolint:usetesting // another user's process has to enter it
	if err != nil {
		tb.Fatal(err)
	}
	p := &Pooler{as: Server{bin: bin, folder: folder}}
	tb.Cleanup(func() { p.Stop(); _ = os.RemoveAll(folder) })
	if err := p.as.lower(); err != nil {
		tb.Fatal(err)
	}
	if p.as.port, err = freePort(); err != nil {
		tb.Fatal(err)
	}
	p.settings = fmt.Sprintf("[databases]\n* = host=%s port=%s user=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\nauth_type = any\npool_mode = %s\n",
		u.Hostname(), u.Port(), u.User.Username(), p.as.port, mode)
	u.Host = p.as.Host()
	p.as.admin = u.String()
	p.Begin(tb)
	return p
}

// Address is that of the database through it.
func (p *Pooler) Address() string { return p.as.admin }

// Stop ends it as a crash does. Otherwise it would wait for its clients to go.
func (p *Pooler) Stop() { p.as.signal(syscall.SIGKILL) }

// Begin starts it, or starts it again after Stop.
func (p *Pooler) Begin(tb testing.TB) {
	tb.Helper()
	file := filepath.Join(p.as.folder, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(p.settings), 0o644); err != nil { //nolint:gosec // another user's process reads it, and it has no password
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), p.as.bin, "--quiet", file) //nolint:gosec // the machine's own
	cmd.Dir, cmd.SysProcAttr = p.as.folder, &syscall.SysProcAttr{Credential: p.as.as, Setpgid: true}
	var err error
	if p.as.child, err = spawn(cmd); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, p.as.admin)
		if err == nil {
			_ = conn.Close(ctx)
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("PgBouncer does not answer: %v", err)
		}
	}
}
