package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"
)

// signIns measures what people who sign in do to the requests of everybody else:
// proxied requests at a steady rate, alone and beside connections that sign in with
// a password without a pause.
func signIns(o options) error {
	all, err := running(o, both)
	if err != nil {
		return err
	}
	goFirst()
	results := make([][]pair, len(all))
	for round := range o.rounds + 1 {
		for i := range all {
			n := (i + round) % len(all)
			p, err := disturb(all[n], o, round%2 == 0)
			if err != nil {
				return fmt.Errorf("%s: %w", all[n].name, err)
			}
			if round > 0 { // the first round warms up
				results[n] = append(results[n], p)
			}
		}
		fmt.Fprintf(os.Stderr, "signin: round %d of %d\n", round, o.rounds)
	}
	disturbances(os.Stdout, all, results, o)
	return nil
}

// pair is one round: the same requests without and with sign-ins.
type pair struct {
	quiet, busy, signIns result
}

func disturb(s *server, o options, quietFirst bool) (p pair, err error) {
	quiet := func() error { p.quiet, err = steady(s, o); return err }
	busy := func() error {
		signedIn := make(chan error, 1)
		go func() {
			var err error
			p.signIns, err = askAll(s, o)
			signedIn <- err
		}()
		p.busy, err = steady(s, o)
		if failed := <-signedIn; failed != nil {
			err = fmt.Errorf("signing in: %w", failed)
		}
		return err
	}
	steps := []func() error{busy, quiet}
	if quietFirst {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return p, err
		}
	}
	return p, nil
}

// steady sends requests as people do: each connection waits a while before its next
// one, by chance, and the answer to one does not hold up another's.
func steady(s *server, o options) (result, error) {
	pause := time.Duration(o.connections) * time.Second / time.Duration(o.rate)
	r, err := send(s, s.tokens, pause, o)
	if err == nil && r.errors > 0 {
		err = fmt.Errorf("%d of %d requests failed", r.errors, r.requests)
	}
	return r, err
}

// goFirst lets this process run before the server where both want a core: what
// asks and what answers behind are on machines of their own in earnest.
func goFirst() {
	threads, err := os.ReadDir("/proc/self/task")
	for _, thread := range threads { // later ones inherit it
		var id int
		if _, err := fmt.Sscan(thread.Name(), &id); err != nil {
			continue
		}
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, -15); err != nil {
			fmt.Fprintln(os.Stderr, "the load has no priority over the server (run as root for that), which makes both columns slower:", err)
			return
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// disturbances prints medians over the rounds; the ratio is that within a round.
func disturbances(out io.Writer, all []*server, results [][]pair, o options) {
	fmt.Fprintf(out, "\n%d requests/s; %d connections sign in\n\n", o.rate, o.connections)
	fmt.Fprintf(out, "| server | p50 ms quiet | with sign-ins | p99 ms quiet | (min-max) | with sign-ins | (min-max) | p99 by | (min-max) | sign-ins/s | CPU ms/sign-in | RSS MiB |\n"+
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for i, s := range all {
		of := func(value func(pair) float64) []float64 {
			var values []float64
			for _, p := range results[i] {
				values = append(values, value(p))
			}
			slices.Sort(values)
			return values
		}
		quiet, busy := of(func(p pair) float64 { return milliseconds(p.quiet.p99) }), of(func(p pair) float64 { return milliseconds(p.busy.p99) })
		ratio := of(func(p pair) float64 { return float64(p.busy.p99) / float64(p.quiet.p99) })
		fmt.Fprintf(out, "| %s | %.2f | %.2f | **%.2f** | %.2f-%.2f | **%.2f** | %.2f-%.2f | **x%.1f** | %.1f-%.1f | %.0f | %.1f | %.0f |\n", s.name,
			median(of(func(p pair) float64 { return milliseconds(p.quiet.p50) })), median(of(func(p pair) float64 { return milliseconds(p.busy.p50) })),
			median(quiet), quiet[0], quiet[len(quiet)-1], median(busy), busy[0], busy[len(busy)-1], median(ratio), ratio[0], ratio[len(ratio)-1],
			median(of(func(p pair) float64 { return p.signIns.rate() })),
			median(of(func(p pair) float64 {
				return milliseconds(p.busy.cpu-p.quiet.cpu) / float64(max(1, p.signIns.requests))
			})), median(of(func(p pair) float64 { return p.signIns.memory })))
	}
	fmt.Fprintln(out)
	for _, s := range all {
		fmt.Printf("%s: %s\n", s.name, s.about)
	}
}
