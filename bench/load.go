package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// result is one run of one target.
type result struct {
	requests int
	errors   int
	took     time.Duration
	cpu      time.Duration
	p50, p99 time.Duration
	memory   float64
}

// each is the server's CPU time for one request, or one token, in microseconds.
func (r result) each() float64 { return float64(r.cpu.Microseconds()) / float64(max(1, r.requests)) }

func (r result) rate() float64 { return float64(r.requests) / r.took.Seconds() }

// load runs one load against one server and charges the server's CPU to it.
func load(s *server, mode string, o options) (result, error) {
	if s.kind == token {
		return askAll(s, o)
	}
	r, err := wrk(s, mode, o)
	r.memory = s.memory()
	return r, err
}

// mostPerSecond is more than a gate on one core can let pass.
const mostPerSecond = 16_000

// once is how many tokens a run may send once.
func once(o options) int { return mostPerSecond * max(1, int(o.duration.Seconds()+0.5)) }

// use is the tokens of one run: the first one always (same), all in turn
// (rotating), or such as this server has not seen yet (distinct).
func (s *server) use(mode string, o options) ([]string, error) {
	switch mode {
	case "same":
		return s.tokens[:1], nil
	case "distinct":
		s.sent += once(o)
		all, err := pool(s.algorithm, rotating+s.sent)
		return all[rotating+s.sent-once(o):], err
	default:
		return s.tokens, nil
	}
}

// wrk sends the tokens of a mode, one after the other.
// A server that does not look at tokens gets them too, so that the bytes on the wire are equal.
func wrk(s *server, mode string, o options) (result, error) {
	use, err := s.use(mode, o)
	if err != nil {
		return result{}, err
	}
	r, err := send(s, use, 0, o, "taskset", "-c", strconv.Itoa(generatorCore))
	if err == nil && mode == "distinct" && s.remembers() && r.requests+o.connections > len(use) {
		err = fmt.Errorf("%d requests, and %d tokens: some were sent twice; raise mostPerSecond", r.requests, len(use))
	}
	return r, err
}

// send runs wrk with these tokens; another program may start it. Each connection
// pauses before every request, for about so long.
func send(s *server, use []string, pause time.Duration, o options, by ...string) (result, error) {
	file := filepath.Join(s.dir, "tokens")
	if err := os.WriteFile(file, []byte(strings.Join(use, "\n")+"\n"), 0o600); err != nil {
		return result{}, err
	}
	argv := slices.Concat(by, []string{
		"wrk", "-t1", "-c" + strconv.Itoa(o.connections),
		fmt.Sprintf("-d%ds", max(1, int(o.duration.Seconds()+0.5))), "-s", filepath.Join(servers, "tokens.lua"), s.base + "/api/hello",
	})
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "TOKENS="+file)
	if pause > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("PAUSE=%d", pause.Milliseconds()))
	}
	before := s.cpu()
	said, err := cmd.CombinedOutput()
	spent := s.cpu() - before
	if err != nil {
		return result{}, fmt.Errorf("wrk: %w: %s", err, said)
	}
	_, line, found := strings.Cut(string(said), "RESULT ")
	if !found {
		return result{}, fmt.Errorf("wrk: %s", said)
	}
	var m struct{ Requests, Microseconds, P50, P99, Errors int }
	if err = json.Unmarshal([]byte(line), &m); err != nil {
		return result{}, err
	}
	us := func(n int) time.Duration { return time.Duration(n) * time.Microsecond }
	return result{requests: m.Requests, errors: m.Errors, cpu: spent, took: us(m.Microseconds), p50: us(m.P50), p99: us(m.P99)}, nil
}

// askAll has as many workers as connections, each with a connection of its own;
// what a worker does before its first token is not part of what is measured.
func askAll(s *server, o options) (result, error) {
	var r result
	workers := make([]worker, o.connections)
	for i := range workers {
		w := &workers[i]
		w.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
		var err error
		if w.earn, err = s.earner(w.client); err != nil {
			return r, err
		}
	}
	before := s.cpu()
	began := time.Now()
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() { workers[i].until(began.Add(o.duration)) })
	}
	all.Wait()
	r.took, r.cpu, r.memory = time.Since(began), s.cpu()-before, s.memory()
	for i := range workers {
		w := &workers[i]
		w.client.CloseIdleConnections()
		if w.err != nil {
			return r, w.err
		}
		r.requests += len(w.took)
		r.p50, r.p99 = max(r.p50, percentile(w.took, 50)), max(r.p99, percentile(w.took, 99))
	}
	return r, nil
}

type worker struct {
	client *http.Client
	earn   earner
	took   []time.Duration
	err    error
}

func (w *worker) until(end time.Time) {
	for time.Now().Before(end) {
		began := time.Now()
		if _, err := w.earn(); err != nil {
			w.err = err
			return
		}
		w.took = append(w.took, time.Since(began))
	}
}
