package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func init() { faults["nodes are cut off"] = cutOff }

const (
	cutFor   = 20 * time.Second
	cutBound = 3 * time.Second
)

// cutOff pulls the cable between two of four nodes and PostgreSQL: packets vanish,
// and nobody is told. Whoever asks those two reaches them by another one.
func cutOff(t *testing.T) {
	r := newRoom(t)
	c := clusterOf(t, rules{
		store:  []string{"", "", "max_staleness 3s", "max_staleness 3s\n\t\t\twhen_stale serve"},
		issuer: longMemory,
		place: func(at int, i *instance) {
			if at >= 2 {
				r.move(i)
			}
		},
	})
	refusing, serving := c.nodes[2], c.nodes[3]
	spread := c.spread(8)
	lost, kept := c.nodes[2].signIn(), c.nodes[3].signIn()
	for _, n := range c.nodes {
		if !n.open(lost.Access) || !n.open(kept.Access) {
			t.Fatal("refused before anything happened")
		}
	}
	work := spread.begin()
	eventually(t, "refreshes are under way", func() bool { return spread.answered.Load() > 30 })

	r.link("down")
	cut := time.Now()
	var watches []func() []seen
	for _, n := range []*instance{refusing, serving} {
		watches = append(watches, n.watch(lost.Access), n.watch(kept.Access))
	}
	took := []time.Duration{c.revokeOn(c.nodes[0], lost.Access, c.nodes[:2]...)}
	for range 20 {
		took = append(took, c.revokeOn(c.nodes[0], c.nodes[1].signIn().Access, c.nodes[:2]...))
	}
	report(t, "revocations beside nodes that are cut off, on those that are not", took)
	refusing.unhealthy()
	for _, n := range []*instance{refusing, serving} {
		began := time.Now()
		n.later("a sign-in", http.MethodPost, "/oauth2/token", byPassword("phone").Encode())
		t.Logf("a sign-in at a node that is cut off is answered 503 after %s", time.Since(began).Round(time.Millisecond))
	}
	<-time.After(time.Until(cut.Add(cutFor))) // the fault itself
	healing := time.Now()
	r.link("up")
	for _, n := range c.nodes {
		eventually(t, "a node knows what was revoked meanwhile", func() bool {
			a, err := n.ask(http.MethodGet, "/", "", bearer(lost.Access))
			return err == nil && a.status == http.StatusUnauthorized
		})
		eventually(t, "it serves again", func() bool { return n.open(kept.Access) })
		eventually(t, "sign-ins resume", func() bool { _, err := n.tryPassword(); return err == nil })
	}
	t.Logf("all nodes know everything and sign people in %s after the cable is back", time.Since(healing).Round(time.Millisecond))
	work()
	for at, what := range []string{"a node that is cut off and refuses beyond its bound", "a node that is cut off and goes on"} {
		// The first token was revoked meanwhile, and the second was not.
		both := append(watches[2*at](), watches[2*at+1]()...)
		before, after := within(both, cut, cut.Add(cutBound)), within(both, cut.Add(cutBound), healing)
		t.Logf("%s: %v within the bound, %v after it", what, statuses(before), statuses(after))
		if at == 0 {
			only(t, what, before, http.StatusOK, http.StatusServiceUnavailable)
			only(t, what, after, http.StatusServiceUnavailable)
		} else {
			only(t, what, append(before, after...), http.StatusOK)
		}
		if statuses(before)[http.StatusOK] == 0 || len(after) == 0 {
			t.Errorf("%s let nothing through from the start, or was not asked later", what)
		}
	}
	spread.look()
	t.Logf("%d refreshes answered on four nodes, %d requests answered 503", spread.answered.Load(), spread.later.Load())
}

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
