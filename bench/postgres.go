package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// database is a PostgreSQL of the measurement's own, with its durable settings as
// they are delivered.
type database struct {
	cmd  *exec.Cmd
	url  string
	as   *syscall.Credential // it refuses to run as root
	bin  string
	home string
}

func startDatabase() (*database, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return nil, errors.New("PostgreSQL is not installed: apt-get install postgresql")
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "bench-postgres")
	if err != nil {
		return nil, err
	}
	d := &database{bin: filepath.Dir(found[len(found)-1]), home: home}
	if err := d.lower(); err != nil {
		return nil, err
	}
	d.url = "postgres://bench@127.0.0.1:" + ports[0] + "/postgres?sslmode=disable"
	if said, err := d.command("initdb", "--pgdata", d.data(), "--username", "bench", "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, said)
	}
	d.cmd = d.command("postgres", "-D", d.data(), "-p", ports[0], "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+home)
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	for range 100 {
		if d.command("pg_isready", "-h", "127.0.0.1", "-p", ports[0]).Run() == nil {
			return d, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.stop()
	return nil, errors.New("PostgreSQL does not answer")
}

func (d *database) data() string { return filepath.Join(d.home, "data") }

// lower chooses whom it runs as.
func (d *database) lower() error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers, on Linux
	gid, _ := strconv.Atoi(u.Gid)
	d.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(d.home, uid, gid)
}

func (d *database) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(d.bin, name), args...)
	cmd.Dir = d.home
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.as, Pdeathsig: syscall.SIGINT}
	return cmd
}

// run has a statement done.
func (d *database) run(sql string) error {
	if said, err := d.command("psql", d.url, "-q", "-v", "ON_ERROR_STOP=1", "-c", sql).CombinedOutput(); err != nil {
		return fmt.Errorf("psql: %w: %s", err, said)
	}
	return nil
}

func (d *database) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGINT) // it may have ended
	_ = d.cmd.Wait()
	_ = os.RemoveAll(d.home)
}

// cpu is the time of the server's processes, those that have ended included.
func (d *database) cpu() time.Duration {
	pid := d.cmd.Process.Pid
	ticks := spent(pid, true)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, field := range strings.Fields(string(children)) {
		if child, err := strconv.Atoi(field); err == nil {
			ticks += spent(child, false)
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
