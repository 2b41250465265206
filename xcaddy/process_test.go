package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
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
	ready, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer ready.Close()

	p := &process{log: ts.MkAbs(name + ".log"), ended: make(chan error, 1)}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	defer log.Close()
	before, err := log.Seek(0, io.SeekEnd)
	ts.Check(err)

	// Caddy's own `start` learns the same way that its child is ready.
	env := environment(ts)
	p.cmd = exec.Command("gatehouse", "run", "--adapter", "caddyfile", "--config", args[0], "--pingback", ready.Addr().String())
	if p.cmd.Err != nil {
		ts.Fatalf("%v", p.cmd.Err)
	}
	p.cmd.Env, p.cmd.Dir = env, ts.MkAbs(".")
	p.cmd.Stdin = strings.NewReader("ready")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	ts.Check(p.cmd.Start())
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
		running[name] = p
		if neg {
			ts.Fatalf("%s was accepted", args[0])
		}
		ts.Check(certified("localhost:" + ts.Getenv("HTTPS_PORT")))
	case err := <-p.ended:
		said := ts.ReadFile(p.log)[before:]
		if !neg || err == nil {
			ts.Fatalf("%s ended (%v): %s", name, err, said)
		}
		fmt.Fprint(ts.Stderr(), said)
	case <-time.After(patience):
		p.kill()
		ts.Fatalf("%s is not ready after %s: %s", name, patience, ts.ReadFile(p.log))
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

// stop ends a program as an operator does and wants a clean exit.
//
//	stop [NAME]
func stop(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) <= 1, "stop [NAME]")
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
