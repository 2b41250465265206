package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// room is a network namespace of its own with two cables: one to whoever asks, one to
// the database. It goes with its first process, and that one with the tests, whatever
// becomes of them.
type room struct {
	*testing.T
	pid               string
	asked, stored     [2]string // the addresses of both ends: ours, and the room's
	storeLink, relays string
}

// newRoom makes one, or skips the test where the kernel does not let us.
func newRoom(t *testing.T) *room {
	t.Helper()
	for _, tool := range []string{"ip", "nsenter", "cat"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no network namespace to cut a node off in: %v", err)
		}
	}
	holder := exec.CommandContext(t.Context(), "cat") // until we say no more, or cannot any more
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	said, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Skipf("no network namespace to cut a node off in, which takes root: %v", err)
	}
	t.Cleanup(func() {
		_ = said.Close()
		_ = holder.Wait()
	})
	r := &room{T: t, pid: strconv.Itoa(holder.Process.Pid)}
	// Of the addresses for measurements (RFC 2544), four for each cable.
	name, at := "gh"+r.pid, rand.IntN(1<<14)
	r.asked, r.storeLink = r.cable(name+"a", 2*at), name+"s"
	r.stored = r.cable(r.storeLink, 2*at+1)
	r.inside("ip", "link", "set", "lo", "up")
	return r
}

// cable lays one, with an address at either end.
func (r *room) cable(name string, at int) (ends [2]string) {
	r.Helper()
	for n := range ends {
		ends[n] = fmt.Sprintf("198.%d.%d.%d", 18+at>>14, at>>6&255, at&63<<2+n+1)
	}
	if out, err := exec.CommandContext(r.Context(), "ip", "link", "add", name, "type", "veth", "peer", "name", name+"0", "netns", r.pid).CombinedOutput(); err != nil {
		r.Skipf("no cable into a network namespace: %v: %s", err, out)
	}
	r.run("ip", "addr", "add", ends[0]+"/30", "dev", name)
	r.run("ip", "link", "set", name, "up")
	r.inside("ip", "addr", "add", ends[1]+"/30", "dev", name+"0")
	r.inside("ip", "link", "set", name+"0", "up")
	return ends
}

func (r *room) run(line ...string) {
	r.Helper()
	if out, err := exec.CommandContext(r.Context(), line[0], line[1:]...).CombinedOutput(); err != nil {
		r.Fatalf("%s: %v: %s", strings.Join(line, " "), err, out)
	}
}

// enter is the command that runs another in the room.
func (r *room) enter() []string { return []string{"nsenter", "--net=/proc/" + r.pid + "/ns/net", "--"} }

func (r *room) inside(line ...string) {
	r.Helper()
	r.run(append(r.enter(), line...)...)
}

// link pulls the cable to the database out, or puts it in. It is ours that goes down:
// the node's side is told nothing.
func (r *room) link(state string) {
	r.Helper()
	r.run("ip", "link", "set", r.storeLink, state)
}

// move has a node that does not run yet run in the room.
func (r *room) move(i *instance) {
	r.Helper()
	var address, port string
	for _, pair := range i.env {
		if text, ok := strings.CutPrefix(pair, "DATABASE_URL="); ok {
			address = text
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		r.Fatal(err)
	}
	if r.relays == "" {
		r.relays = r.relay(u.Host)
	}
	u.Host = r.relays
	_, port, _ = strings.Cut(strings.TrimPrefix(i.site, "https://"), ":")
	i.site = "https://" + net.JoinHostPort(r.asked[1], port)
	i.within, i.from = r.enter(), r.asked[0]
	i.env = append(slices.Clone(i.env), "SITE="+i.site, "DATABASE_URL="+u.String())
}

// relay carries connections to a server that listens on loopback alone.
func (r *room) relay(to string) (address string) {
	r.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(r.stored[0], "0"))
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			for _, ends := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					_, _ = io.Copy(ends[0], ends[1])
					_, _ = near.Close(), far.Close()
				}()
			}
		}
	}()
	return l.Addr().String()
}
