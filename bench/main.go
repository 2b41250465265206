// Command bench measures what Gatehouse costs beside plain Caddy, the least a
// handler inside Caddy can cost, and other servers. README.md says how to read it.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the same for every command.
type options struct {
	targets     string
	rounds      int
	duration    time.Duration
	connections int
	rate        int
	gogc        string
	modes       string
	tls         bool
	tokens      int
	cache       string
	accounts    int
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: bench proxy|token|signin|start|memory|cluster [-targets A,B] [-modes A,B] [-tls] [-rounds N] [-duration D] [-connections N] [-rate N] [-gogc N] [-tokens N] [-cache SIZE] [-accounts N]")
		os.Exit(2)
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.targets, "targets", "", "comma list; the first is what the others are compared with (default: all of the command)")
	flags.IntVar(&o.rounds, "rounds", 7, "rounds; every round measures every target once")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "length of one run")
	flags.IntVar(&o.connections, "connections", 16, "connections")
	flags.IntVar(&o.rate, "rate", 500, "proxied requests per second beside sign-ins, about")
	flags.StringVar(&o.gogc, "gogc", "", "GOGC for every server: takes the collector's pacing out of a comparison")
	flags.StringVar(&o.modes, "modes", "same,rotating,distinct", "proxy: which tokens are sent")
	flags.BoolVar(&o.tls, "tls", false, "proxy: over HTTPS")
	flags.IntVar(&o.tokens, "tokens", 1_000_000, "memory: how many tokens")
	flags.StringVar(&o.cache, "cache", "400MiB", "memory: the gate's cache_size")
	flags.IntVar(&o.accounts, "accounts", 1_000_000, "cluster: how many accounts there are at the end")
	_ = flags.Parse(os.Args[2:]) // it exits by itself

	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	go func() {
		<-interrupted
		stopAll()
		os.Exit(130)
	}()
	err := prepare()
	if err == nil {
		err = commands[os.Args[1]](o)
	}
	stopAll()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

var commands = map[string]func(options) error{
	"proxy":   func(o options) error { return compare(o, proxy, strings.Split(o.modes, ",")) },
	"token":   func(o options) error { return compare(o, token, []string{"token"}) },
	"signin":  signIns,
	"start":   starts,
	"memory":  remember,
	"cluster": cluster,
}

// compare measures all targets in every round, all of them running, in an order
// that turns: what disturbs the machine then disturbs them alike.
func compare(o options, k kind, modes []string) error {
	all, err := running(o, k)
	if err != nil {
		return err
	}
	if err := signAhead(all, modes, o); err != nil {
		return err
	}
	pinSelf(generatorCore)
	for _, mode := range modes {
		var targets []*server
		for _, s := range all {
			if k != proxy || s.in(mode) {
				targets = append(targets, s)
			}
		}
		results := make([][]result, len(targets))
		for round := range o.rounds + 1 {
			for i := range targets {
				n := (i + round) % len(targets)
				r, err := load(targets[n], mode, o)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", targets[n].name, mode, err)
				}
				if round > 0 { // the first round warms up
					results[n] = append(results[n], r)
				}
			}
			fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", mode, round, o.rounds)
		}
		comparison(os.Stdout, mode, targets, results)
	}
	for _, t := range all {
		fmt.Printf("%s: %s\n", t.name, t.about)
	}
	return nil
}

// signAhead signs what is sent once while this process still has every core.
func signAhead(all []*server, modes []string, o options) error {
	if !slices.Contains(modes, "distinct") {
		return nil
	}
	for _, s := range all {
		if s.in("distinct") {
			if _, err := pool(s.algorithm, rotating+(o.rounds+1)*once(o)); err != nil {
				return err
			}
		}
	}
	return nil
}

// running starts the targets that can run here and proves that each does its work.
func running(o options, k kind) ([]*server, error) {
	var up []*server
	for _, t := range pick(o.targets, k) {
		if why := t.missing(); why != "" {
			fmt.Printf("not measured: %s (%s)\n", t.name, why)
			continue
		}
		s, err := start(t, o)
		if err != nil {
			return nil, err
		}
		if err := s.prove(); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		up = append(up, s)
	}
	if len(up) == 0 {
		return nil, fmt.Errorf("no target of %q can run here", o.targets)
	}
	return up, nil
}

func pick(names string, k kind) []target {
	var out []target
	for _, t := range targets {
		if t.kind == k && (names == "" || contains(names, t.name)) {
			out = append(out, t)
		}
	}
	return out
}

func contains(list, name string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one == name {
			return true
		}
	}
	return false
}
