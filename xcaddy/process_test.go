package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// processes is the key of a story's running programs, by name.
type processes struct{}

type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan error // gets what Wait said, once
}

const patience = 60 * time.Second // a start under the race detector on a busy machine

// serve starts `gatehouse run` and returns when the configuration is live:
//
//	serve CADDYFILE [NAME]
//	! serve CADDYFILE     the program has to refuse it; stderr is what it said
//
// What it logs is in NAME.log (gatehouse.log); a second serve of the name adds to it.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, len(args) == 1 || len(args) == 2, "serve CADDYFILE [NAME]")
	name := nameOf(args[1:])
	running := ts.Value(processes{}).(map[string]*process)
	if running[name] != nil {
		ts.Fatalf("%s is running", name)
	}
	p, err := launch(program{
		path: "gatehouse", caddyfile: args[0], dir: ts.MkAbs("."), log: ts.MkAbs(name + ".log"), env: environment(ts),
	})
	refusal, ended := errors.AsType[*refusal](err)
	switch {
	case neg && ended && refusal.exit != nil:
		fmt.Fprint(ts.Stderr(), refusal.said)
	case neg && err == nil:
		running[name] = p
		ts.Fatalf("%s was accepted", args[0])
	default:
		ts.Check(err)
		running[name] = p
		ts.Check(certified("localhost:" + ts.Getenv("HTTPS_PORT")))
	}
}

// program is what to start, and where.
type program struct {
	path, caddyfile, dir, log string
	env                       []string
	within                    []string // a command that runs it somewhere else
	from                      string   // the address of ours that it reaches; default: loopback
}

// refusal is the error of a program that ended before it served.
type refusal struct {
	exit error
	said string
}

func (r *refusal) Error() string { return fmt.Sprintf("ended (%v): %s", r.exit, r.said) }

// launch starts `gatehouse run` and returns when the configuration is live.
func launch(what program) (*process, error) {
	// Caddy's own `start` learns the same way that its child is ready.
	ready, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(what.from, "127.0.0.1"), "0"))
	if err != nil {
		return nil, err
	}
	defer ready.Close()

	p := &process{log: what.log, ended: make(chan error, 1)}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	said := func() string {
		text, err := os.ReadFile(p.log)
		if err != nil {
			return err.Error()
		}
		return string(text[before:])
	}

	line := append(slices.Clone(what.within), what.path, "run", "--adapter", "caddyfile", "--config", what.caddyfile, "--pingback", ready.Addr().String())
	p.cmd = exec.Command(line[0], line[1:]...)
	// A race shows in the log, and raced says whose it is.
	p.cmd.Env, p.cmd.Dir = append(what.env[:len(what.env):len(what.env)], "GORACE=exitcode=0 "+leaveAtOnce), what.dir
	p.cmd.Stdin = strings.NewReader("ready")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- p.cmd.Wait() }()

	live := make(chan struct{})
	go func() {
		if conn, err := ready.Accept(); err == nil {
			conn.Close()
			close(live)
		}
	}()
	select {
	case <-live:
		return p, nil
	case err := <-p.ended:
		return nil, &refusal{err, said()}
	case <-time.After(patience):
		p.kill()
		return nil, fmt.Errorf("not ready after %s: %s", patience, said())
	}
}

// certified waits until the site has its certificate: Caddy's own authority
// signs it after the start. Where no site listens there is nothing to wait for.
func certified(address string) error {
	every := time.NewTicker(5 * time.Millisecond)
	defer every.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-every.C {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // request looks at the certificate
		if err == nil {
			return conn.Close()
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
	}
	return fmt.Errorf("%s has no certificate after %s", address, patience)
}

// quit ends a program as an operator does and wants a clean exit. It is not called
// stop: testscript has a command of that name, which ends the story as passed.
//
//	quit [NAME]
func quit(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) <= 1, "quit [NAME]")
	ts.Check(take(ts, args).end())
}

// crash ends a program between two instructions, as a power failure does.
//
//	crash [NAME]
func crash(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) <= 1, "crash [NAME]")
	p := take(ts, args)
	p.kill()
	ts.Check(raced(p.log))
}

func nameOf(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	return "gatehouse"
}

func take(ts *testscript.TestScript, args []string) *process {
	running := ts.Value(processes{}).(map[string]*process)
	name := nameOf(args)
	p := running[name]
	if p == nil {
		ts.Fatalf("%s is not running", name)
	}
	delete(running, name)
	return p
}

// reap ends what the story left running. A program that will not end well fails the story here too.
func reap(env *testscript.Env) {
	for name, p := range env.Values[processes{}].(map[string]*process) {
		if err := p.end(); err != nil {
			env.T().Log(name, err)
			env.T().FailNow()
		}
	}
}

func (p *process) end() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return errors.Join(err, <-p.ended, raced(p.log))
	}
	select {
	case err := <-p.ended:
		return errors.Join(err, raced(p.log))
	case <-time.After(patience):
		p.kill()
		return errors.Join(fmt.Errorf("still running %s after SIGTERM", patience), raced(p.log))
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended already
	<-p.ended
}
