package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL on a loopback port, with its data in a temporary
// folder. It writes to the disk as a real one does.
type Server struct {
	admin  string // the address of the database that is always there
	folder string // "" for one that is not ours
	bin    string
	as     *syscall.Credential
	port   int
	child  *child // nil while it is stopped
}

// patience is how long a server may take to start or to stop.
const patience = time.Minute

// Begin makes a new server and starts it, for who is no test and calls End.
func Begin() (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	// Not the test's own folder: others may not enter that one.
	if s.folder, err = os.MkdirTemp("", "gatehouse-postgres-"); err != nil {
		return nil, err
	}
	if err := s.make(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.folder))
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.folder))
	}
	return s, nil
}

// binaries finds the folder of initdb and postgres, which Debian keeps out of
// the path.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		return "", errors.New("there is no PostgreSQL to test with: apt-get install postgresql, or name one in DATABASE_URL whose user may create databases")
	}
	real, err := filepath.EvalSymlinks(found[len(found)-1])
	return filepath.Dir(real), err
}

func version(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

// make initialises the data folder. Its language orders words as people do, not
// as bytes: what relies on the order of bytes has to say so.
func (s *Server) make() error {
	if err := s.lower(); err != nil {
		return err
	}
	line := append([]string{
		"--pgdata", s.data(), "--username", "gatehouse", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
	}, s.language()...)
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, "initdb"), line...) //nolint:gosec // the machine's own
	cmd.Dir, cmd.SysProcAttr = s.folder, &syscall.SysProcAttr{Credential: s.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	// The first line that fits holds.
	hba := filepath.Join(s.data(), "pg_hba.conf")
	rest, err := os.ReadFile(hba)
	if err != nil {
		return err
	}
	first := "host all +" + Passworded + " 127.0.0.1/32 scram-sha-256\n"
	return os.WriteFile(hba, append([]byte(first), rest...), 0o600) //nolint:gosec // in a folder that was made above
}

// language is how initdb is told of one. Before PostgreSQL 15 a whole server could not
// have one that the machine has not, and goes by bytes.
func (s *Server) language() []string {
	const words = "--icu-locale"
	help, err := exec.CommandContext(context.Background(), filepath.Join(s.bin, "initdb"), "--help").Output() //nolint:gosec // the machine's own
	if err != nil || !strings.Contains(string(help), words) {
		return nil
	}
	return []string{"--locale-provider", "icu", words, "en-US"}
}

// Passworded is the role whose members need a password on our servers; everybody
// else needs none. A test that wants such users makes it.
const Passworded = "passworded"

// lower chooses whom the server runs as: PostgreSQL refuses to run as root.
func (s *Server) lower() error {
	if os.Getuid() != 0 {
		return nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return fmt.Errorf("PostgreSQL does not run as root: %w", err)
		}
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return err
	}
	s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.folder, int(uid), int(gid))
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

// start starts the server on its port, the first time on a free one.
func (s *Server) start() error {
	if s.port == 0 {
		var err error
		if s.port, err = freePort(); err != nil {
			return err
		}
	}
	address := url.URL{
		Scheme: "postgres", User: url.User("gatehouse"), Host: s.Host(),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}
	s.admin = address.String()
	log, err := os.OpenFile(filepath.Join(s.folder, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()                                                                 // the child has its own
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, "postgres"), "-D", s.data(), //nolint:gosec // the machine's own
		"-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+s.folder,
		"-c", "max_connections=300", "-c", "fsync=on", "-c", "full_page_writes=on", "-c", "synchronous_commit=on")
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.folder, log, log
	// In a group of its own, or a terminal's Ctrl-C would stop it before the tests.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setpgid: true}
	if s.child, err = spawn(cmd); err != nil {
		return err
	}
	return s.answers()
}

// answers waits until the server does.
func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.admin)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-s.child.ended:
			return fmt.Errorf("PostgreSQL ended: %s", s.Log())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w: %s", err, s.Log())
		}
	}
}

// child is a process that ends with this one.
type child struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// spawn starts a process from a thread that lives as long as the child: the
// kernel's signal comes when the thread ends that started it.
func spawn(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(c.ended)
		dieWithParent(cmd.SysProcAttr)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	return c, <-started
}

// Running reports whether the server runs.
func (s *Server) Running() bool { return s.child != nil }

// Stop ends the server as its operator does: transactions that are under way are
// undone, connections are closed.
func (s *Server) Stop() { s.signal(syscall.SIGINT) }

// Kill ends it as a power cut does, all its processes at once.
func (s *Server) Kill() { s.signal(syscall.SIGQUIT) }

func (s *Server) signal(sig syscall.Signal) {
	if s.child == nil {
		return
	}
	_ = s.child.cmd.Process.Signal(sig)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.child.ended:
	case <-timer.C:
		_ = s.child.cmd.Process.Kill()
		<-s.child.ended
	}
	s.child = nil
}

// Restart starts the server again, on the port that it had.
func (s *Server) Restart() error {
	s.Stop()
	return s.start()
}

// Log is what the server has written.
func (s *Server) Log() string {
	b, _ := os.ReadFile(filepath.Join(s.folder, "log"))
	return string(b)
}

// Address is that of the database that is always there, and empty at first.
func (s *Server) Address() string { return s.admin }

// End ends the server and removes what it has stored.
func (s *Server) End() {
	if s.folder == "" {
		return
	}
	s.Kill()
	_ = os.RemoveAll(s.folder)
}
