package postgrestest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Standby starts a copy of a server that follows it. What the server has answered
// is on both: it waits for its standby.
func (s *Server) Standby(tb testing.TB) *Server {
	tb.Helper()
	folder, err := os.MkdirTemp("", "gatehouse-postgres-") //nolint:usetesting // another user's server has to enter it
	if err != nil {
		tb.Fatal(err)
	}
	other := &Server{bin: s.bin, folder: folder}
	tb.Cleanup(other.End)
	if err := other.lower(); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), filepath.Join(s.bin, "pg_basebackup"), //nolint:gosec // the machine's own
		"--pgdata", other.data(), "--dbname", s.admin, "--write-recovery-conf", "--checkpoint", "fast")
	cmd.Dir, cmd.SysProcAttr = folder, &syscall.SysProcAttr{Credential: s.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("pg_basebackup: %v: %s", err, out)
	}
	if err := other.start(); err != nil {
		tb.Fatal(err)
	}
	s.admins(tb, "ALTER SYSTEM SET synchronous_standby_names = '*'")
	s.admins(tb, "SELECT pg_reload_conf()")
	return other
}

// Promote makes a standby the server that is written to. Nobody follows it.
func (s *Server) Promote(tb testing.TB) {
	tb.Helper()
	s.admins(tb, "SELECT pg_promote()")
	s.admins(tb, "ALTER SYSTEM RESET synchronous_standby_names")
	s.admins(tb, "SELECT pg_reload_conf()")
}

// Host is where the server listens, as an address has it.
func (s *Server) Host() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Certify gives the server a certificate: from here on it speaks TLS with who asks
// for it.
func (s *Server) Certify(tb testing.TB, cert, key []byte) {
	tb.Helper()
	for name, content := range map[string][]byte{"server.crt": cert, "server.key": key} {
		path := filepath.Join(s.data(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			tb.Fatal(err)
		}
		if s.as == nil {
			continue
		}
		if err := os.Chown(path, int(s.as.Uid), int(s.as.Gid)); err != nil {
			tb.Fatal(err)
		}
	}
	s.admins(tb, "ALTER SYSTEM SET ssl = on")
	if err := s.Restart(); err != nil {
		tb.Fatal(err)
	}
}
