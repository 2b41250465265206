package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// remember measures what the gate takes that has seen so many tokens, each once,
// and whether it knows them afterwards.
func remember(o options) error {
	i := indexOf("gatehouse-foreign")
	t := targets[i]
	t.name, t.env = "memory", []string{"CACHE_SIZE=" + o.cache}
	s, err := start(t, o)
	if err != nil {
		return err
	}
	pinSelf(generatorCore)
	fmt.Printf("cache_size %s\n\n| tokens seen | CPU us/request | RSS MiB | RSS at most | heap MiB |\n|--:|--:|--:|--:|--:|\n", o.cache)
	const steps = 10
	var first time.Duration
	for step := range steps {
		spent, err := s.askEach(o, step*o.tokens/steps, (step+1)*o.tokens/steps, 1)
		if err != nil {
			return err
		}
		first += spent
		now, peak, heap, err := s.weight(step == steps-1)
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %.1f | %.0f | %.0f | %s |\n", (step+1)*o.tokens/steps, perRequest(spent, o.tokens/steps), now, peak, heap)
	}
	const every = 50
	again, err := s.askEach(o, 0, o.tokens, every)
	if err != nil {
		return err
	}
	fmt.Printf("\neach for the first time %.1f us, every %dth again %.1f us\n", perRequest(first, o.tokens), every, perRequest(again, o.tokens/every))
	return nil
}

func perRequest(spent time.Duration, n int) float64 {
	return float64(spent.Microseconds()) / float64(max(1, n))
}

func indexOf(name string) int {
	for i, t := range targets {
		if t.name == name {
			return i
		}
	}
	panic("no target " + name)
}

// askEach sends every nth of the tokens from and to stand for, and says how long the server
// ran for them. They are signed on the way, always the same for a number.
func (s *server) askEach(o options, from, to, nth int) (time.Duration, error) {
	before := s.cpu()
	failed := make([]error, o.connections)
	var all sync.WaitGroup
	for worker := range o.connections {
		all.Go(func() {
			c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for i := from + worker*nth; i < to && failed[worker] == nil; i += o.connections * nth {
				raw, err := foreignToken("RS256", i, foreign.expires)
				if err == nil {
					err = s.get(c, raw, http.StatusOK)
				}
				failed[worker] = err
			}
		})
	}
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return 0, err
		}
	}
	return s.cpu() - before, nil
}

// weight is the resident memory now and at most, in MiB, and, where it is asked
// for, the heap that is left after a collection.
func (s *server) weight(collect bool) (now, peak float64, heap string, err error) {
	now = s.memory()
	for line := range strings.Lines(proc(s.cmd.Process.Pid, "status")) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			peak = kib / 1024
		}
	}
	if !collect {
		return now, peak, "", nil
	}
	res, err := browser.Get("http://" + s.admin + "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return now, peak, "", err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if rest, found := strings.CutPrefix(lines.Text(), "# HeapAlloc = "); found {
			bytes, _ := strconv.ParseFloat(rest, 64)
			return now, peak, fmt.Sprintf("%.0f", bytes/(1<<20)), nil
		}
	}
	fmt.Fprintln(os.Stderr, "the heap's size is not in the answer")
	return now, peak, "", lines.Err()
}
