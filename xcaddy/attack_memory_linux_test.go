package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

var resident = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

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
		if took := time.Since(began); status != want || saw != nil || took > 5*time.Second {
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
