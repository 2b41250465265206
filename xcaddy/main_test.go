package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// The test binary is gatehouse too, so the stories run the whole program with
// whatever the tests were built with: the race detector first of all.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": main})
}

// leaveAtOnce has a program with the race detector not wait a second at its end, for
// reports of threads that stories have no use for any more.
const leaveAtOnce = "atexit_sleep_ms=0"

// TestStories runs testdata/*.txtar: the program from its Caddyfile to the
// answer, over HTTPS. Besides testscript's own commands a story has those of
// process_test.go, request_test.go, browse_test.go, database_test.go and documented_test.go.
func TestStories(t *testing.T) {
	stories, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return setup(env, root) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":   serve,
			"quit":    quit,
			"crash":   crash,
			"request": request,
			"await":   await,
			"browse":  browse,
			"save":    save,
			"jwt":     jwt,
			"post":    postOffice,

			"database": database,

			"verified": verified,

			"documented": documented,
		},
		Condition: condition,
	})
}

// setup gives a story a data folder, free ports and these variables:
//
//	SITE BACKEND ADMIN     https://localhost:PORT, and two host:port on loopback
//	HTTPS_PORT BACKEND_PORT MAIL_PORT HOOK_PORT     the ports alone
//	MAIL HOOK              host:port and http://host:port/send, where `post open` listens
//	REPOSITORY     the folder of this repository
func setup(env *testscript.Env, root string) error {
	ports, err := freePorts(5)
	if err != nil {
		return err
	}
	env.Setenv("GORACE", leaveAtOnce)
	env.Setenv("HTTPS_PORT", ports[0])
	env.Setenv("BACKEND_PORT", ports[1])
	env.Setenv("SITE", "https://localhost:"+ports[0])
	env.Setenv("BACKEND", "127.0.0.1:"+ports[1])
	env.Setenv("ADMIN", "127.0.0.1:"+ports[2])
	env.Setenv("MAIL", "127.0.0.1:"+ports[3])
	env.Setenv("MAIL_PORT", ports[3])
	env.Setenv("HOOK_PORT", ports[4])
	env.Setenv("HOOK_ADDRESS", "127.0.0.1:"+ports[4])
	env.Setenv("HOOK", "http://127.0.0.1:"+ports[4]+"/send")
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "data"))
	env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
	env.Setenv("REPOSITORY", root)
	env.Values[processes{}] = map[string]*process{}
	env.Values[databases{}] = &struct{ *postgrestest.Server }{}
	if env.Values[walk{}], err = newVisitor(); err != nil {
		return err
	}
	office := &post{codes: map[string]string{}}
	env.Values[posts{}] = office
	env.Defer(office.shut)
	env.Defer(func() { reap(env) })
	return nil
}

// given are the ports that were ever asked for: two stories that run beside each other
// would not notice, since Caddy lets others listen where it does.
var given struct {
	sync.Mutex
	ports map[string]bool
}

// freePorts returns ports nobody listens on now, and nobody else in this process gets. They
// lie below those that the system gives to outgoing connections: a program that is down for
// a moment finds its port free again.
func freePorts(n int) ([]string, error) {
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[string]bool{}
	}
	var ports []string
	for tries := 0; len(ports) < n; tries++ {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		if given.ports[port] {
			continue
		}
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			if tries > 1000 {
				return nil, err
			}
			continue
		}
		if err := listener.Close(); err != nil {
			return nil, err
		}
		given.ports[port] = true
		ports = append(ports, port)
	}
	return ports, nil
}

// environment is the story's environment with what its env lines have set.
func environment(ts *testscript.TestScript) []string {
	ts.Check(ts.Exec("env", "-0"))
	return strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\x00"), "\x00")
}

// usage ends the story when a command of ours is called wrongly.
func usage(ts *testscript.TestScript, ok bool, line string) {
	if !ok {
		ts.Fatalf("usage: %s", line)
	}
}

// raced says whether a log shows what no story may: a panic, or a data race in
// which code of ours is involved. Caddy has races of its own, between obtaining a
// certificate and the end of its start, say.
func raced(log string) error {
	text, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	for _, bad := range []string{"panic: ", `"msg":"panic`} {
		if _, after, found := strings.Cut(string(text), bad); found {
			return fmt.Errorf("%s: %s%.4000s", log, bad, after)
		}
	}
	for report := range strings.SplitSeq(string(text), "==================") {
		if strings.Contains(report, "WARNING: DATA RACE") && ours(report) {
			return fmt.Errorf("%s: %.4000s", log, report)
		}
	}
	return nil
}

// ours says whether the accesses of a report go through a function of ours beyond
// those that start the program; the file of each is on a line of its own. Who began the
// goroutines comes behind: every request does so by way of the gate.
func ours(report string) bool {
	accesses, _, _ := strings.Cut(report, "\nGoroutine ")
	for line := range strings.SplitSeq(accesses, "\n") {
		name := strings.TrimSpace(line)
		if strings.HasSuffix(name, ")") && strings.HasPrefix(name, "github.com/gatehouse-auth/gatehouse/") && !strings.HasPrefix(name, "github.com/gatehouse-auth/gatehouse/xcaddy.") {
			return true
		}
	}
	return false
}

func TestARaceIsOursWhereOurCodeIsInIt(t *testing.T) {
	const gate, caddy, begun = "  github.com/gatehouse-auth/gatehouse/caddymodule.(*Gate).ServeHTTP()\n", "  github.com/caddyserver/caddy/v2.Stop()\n", "\nGoroutine 16 (running) created at:\n"
	for report, want := range map[string]bool{
		"WARNING: DATA RACE\nRead at 0x1 by goroutine 16:\n" + gate + "\nPrevious write at 0x1 by goroutine 7:\n" + caddy + begun + caddy: true,
		"WARNING: DATA RACE\nRead at 0x1 by goroutine 16:\n" + caddy + "\nPrevious write at 0x1 by goroutine 7:\n" + gate + begun + caddy: true,
		"WARNING: DATA RACE\nRead at 0x1 by goroutine 16:\n" + caddy + "\nPrevious write at 0x1 by goroutine 7:\n" + caddy + begun + gate: false,
		"WARNING: DATA RACE\nRead at 0x1 by goroutine 16:\n  github.com/gatehouse-auth/gatehouse/xcaddy.main()\n" +
			"      github.com/gatehouse-auth/gatehouse/xcaddy/main.go:24 +0x5d\n": false,
	} {
		if got := ours(report); got != want {
			t.Errorf("%v:\n%s", got, report)
		}
	}
}
