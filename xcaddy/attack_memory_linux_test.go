package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

var (
	resident = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)
	routines = regexp.MustCompile(`(?m)^go_goroutines (\d+)`)
)

// rss is the memory that the program holds, in bytes.
func (i *instance) rss() int {
	i.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", i.running.cmd.Process.Pid))
	if err != nil {
		i.Fatal(err)
	}
	found := resident.FindSubmatch(status)
	if found == nil {
		i.Fatalf("no VmRSS in %s on %s", status, runtime.GOOS)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		i.Fatal(err)
	}
	return n << 10
}

// A34: what is made to be expensive is refused at once, and leaves nothing.
func TestExpensiveTokensCostNothing(t *testing.T) {
	b := newBesieged(t, swift(t), "GOGC=50") // garbage that waits is not what is looked for
	var expensive []attack
	for _, a := range b.own.shapes() {
		if strings.HasPrefix(a.name, "A34") || strings.HasPrefix(a.name, "A35") {
			expensive = append(expensive, a)
		}
	}
	expensive = append(expensive, attack{"50,000 dots", strings.Repeat(".", 50_000)}, attack{"50,000 A", strings.Repeat("A", 50_000)},
		attack{"15,000 A", strings.Repeat("A", 15_000)}, attack{"a megabyte", strings.Repeat("A", 1<<20)})
	send := func(a attack) {
		began := time.Now()
		status, _, saw := b.get("/", bearer(a.raw))
		want := http.StatusUnauthorized
		if len(a.raw) > 16<<10 {
			want = http.StatusRequestHeaderFieldsTooLarge
		}
		if took := time.Since(began); status != want || saw != nil || took > patience/2 {
			t.Errorf("%s: %d after %v, want %d", a.name, status, took, want)
		}
	}
	for range 200 { // connections, buffers and the garbage collector's pace
		b.get("/", bearer(b.own.good()))
		send(expensive[0])
	}
	for _, a := range expensive {
		before := b.rss()
		for range 100 {
			send(a)
		}
		if grown := b.rss() - before; grown > 10<<20 {
			t.Errorf("%s: 100 of them left %d KiB in memory", a.name, grown>>10)
		}
	}
}

// J01: a flood of tokens that are all different and none of them good leaves nothing in
// memory, and a good one is good beside it.
func TestFloodOfInvalidTokensLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBesieged(t, swift(t), "GOGC=50")
	good := b.own.good()
	header, payload, signature := cutToken(good)
	kinds := map[string]func() string{
		"random": func() string { return rand.Text() + rand.Text() + rand.Text() },
		"opaque": func() string { return uuid.NewString() },
		"of another signature": func() string {
			return header + "." + payload + "." + encode([]byte(rand.Text() + rand.Text()))[:52] + signature[52:]
		},
		"of another key": func() string {
			return encode(text(b.own.header(map[string]any{"kid": rand.Text()}))) + "." + payload + "." + signature
		},
		"of other claims": func() string { return header + "." + encode(text(b.own.claims(nil))) + "." + signature },
		"a partner's, not ours": func() string {
			return b.partner.sealed(string(text(b.partner.header(nil))), string(text(b.own.claims(nil))))
		},
		"of an unknown issuer's": func() string {
			return header + "." + encode(text(b.own.claims(map[string]any{"iss": "https://" + rand.Text() + ".example"}))) + "." + signature
		},
	}
	flood := func(each int) (passed int) {
		over := make(chan struct{})
		var floods, goods sync.WaitGroup
		for name, forge := range kinds {
			floods.Go(func() {
				for range each {
					got, err := b.ask(http.MethodGet, "/", "", bearer(forge()))
					if err != nil || got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
						t.Errorf("%s: %d %s, %v", name, got.status, got.header.Get("WWW-Authenticate"), err)
						return
					}
				}
			})
		}
		goods.Go(func() {
			for ; ; passed++ {
				select {
				case <-over:
					return
				default:
				}
				got, err := b.ask(http.MethodGet, "/", "", bearer(good))
				if err != nil || got.status != http.StatusOK || !strings.Contains(got.body, `"X-Auth-Subject":["mallory"]`) {
					t.Errorf("the good one: %d %s, %v", got.status, got.body, err)
					return
				}
			}
		})
		floods.Wait()
		close(over)
		goods.Wait()
		return passed
	}
	flood(500) // connections, buffers and the garbage collector's pace
	before, seen := b.rss(), b.seen.Load()
	const each = 3000
	passed := flood(each)
	if grown, n := b.rss()-before, each*len(kinds); grown > 12<<20 {
		t.Errorf("%d of them left %d KiB in memory", n, grown>>10)
	} else {
		t.Logf("%d of them, and %d good ones: %d KiB", n, passed, grown>>10)
	}
	if n := b.seen.Load() - seen; int(n) != passed || passed == 0 {
		t.Errorf("the backend saw %d requests, of %d with a good token", n, passed)
	}
}

// holds is what the program has under way: goroutines and open files.
func (i *instance) holds() (goroutines, files int) {
	i.Helper()
	found := routines.FindStringSubmatch(i.metrics())
	if found == nil {
		i.Fatal("no go_goroutines among the metrics")
	}
	goroutines, _ = strconv.Atoi(found[1])
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", i.running.cmd.Process.Pid))
	if err != nil {
		i.Fatal(err)
	}
	return goroutines, len(open)
}

// J08: one good token over many connections, with the backend behind. What that leaves is
// looked at when all have gone: no goroutine and no file of theirs.
func TestManyConnectionsOfAGoodTokenLeaveNothing(t *testing.T) {
	t.Parallel()
	b := newBesieged(t, swift(t))
	good := b.own.good()
	var answered atomic.Int64
	// Each connection sends one request in 40 ms for a second and a half.
	load := func() {
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				own := *b.instance
				transport := b.client.Transport.(*http.Transport).Clone()
				own.client = &http.Client{Timeout: patience, Transport: transport}
				defer transport.CloseIdleConnections()
				pace := time.NewTicker(40 * time.Millisecond)
				defer pace.Stop()
				for range 36 {
					<-pace.C
					if got, err := own.ask(http.MethodGet, "/", "", bearer(good)); err != nil || got.status != http.StatusOK {
						t.Errorf("%d, %v", got.status, err)
					}
					answered.Add(1)
				}
			})
		}
		all.Wait()
	}
	load() // what is there once, such as the connections to the backend
	goroutines, files := b.holds()
	for range 40 { // what goes by itself goes within two seconds
		<-time.After(50 * time.Millisecond)
		g, f := b.holds()
		goroutines, files = min(goroutines, g), min(files, f)
	}
	for range 3 {
		load()
	}
	// The proxy keeps up to 32 connections to the backend, each of two goroutines.
	eventually(t, "as few goroutines and files as before", func() bool {
		g, f := b.holds()
		return g <= goroutines+64 && f <= files+32
	})
	g, f := b.holds()
	t.Logf("%d requests; goroutines %d, then %d; files %d, then %d", answered.Load(), goroutines, g, files, f)
}
