package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// faults are stories of half a minute each, the most of which is waiting.
var faults = map[string]func(*testing.T){
	"PostgreSQL is stopped": func(t *testing.T) { databaseAway(t, (*postgrestest.Server).Stop) },
	"PostgreSQL is killed":  func(t *testing.T) { databaseAway(t, (*postgrestest.Server).Kill) },
	"nodes are paused":      pause,
	"nodes are killed":      killNodes,
	"listeners are ended":   endListeners,

	"nodes are killed while keys are rotated": killRotating,
}

// They are waited for together: one place among the parallel tests is enough.
func TestNodesOutliveFaults(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for name, story := range faults {
		all.Go(func() { t.Run(name, story) })
	}
	all.Wait()
}

// seen is what one request was answered.
type seen struct {
	began, ended time.Time
	status       int    // 0: nothing
	wait         string // Retry-After
}

// watch shows a token at a gate again and again until the function that it returns is
// called, which says what was answered.
func (i *instance) watch(token string) func() []seen {
	ctx, stop := context.WithCancel(i.Context())
	done := make(chan []seen, 1)
	go func() {
		every := time.NewTicker(50 * time.Millisecond)
		defer every.Stop()
		var all []seen
		for {
			select {
			case <-every.C:
				all = append(all, i.atGate(token))
			case <-ctx.Done():
				done <- all
				return
			}
		}
	}()
	return func() []seen { stop(); return <-done }
}

// atGate shows a token at the gate once.
func (i *instance) atGate(token string) seen {
	s := seen{began: time.Now()}
	if a, err := i.ask(http.MethodGet, "/", "", bearer(token)); err == nil {
		s.status, s.wait = a.status, a.header.Get("Retry-After")
	}
	s.ended = time.Now()
	return s
}

// statuses counts what was answered.
func statuses(all []seen) map[int]int {
	counts := map[int]int{}
	for _, s := range all {
		counts[s.status]++
	}
	return counts
}

// within is those of requests that lay within a time.
func within(all []seen, from, to time.Time) (inside []seen) {
	for _, s := range all {
		if s.began.After(from) && s.ended.Before(to) {
			inside = append(inside, s)
		}
	}
	return inside
}

// only wants these statuses and no others, and shows the first that is another.
func only(t *testing.T, what string, all []seen, statuses ...int) {
	t.Helper()
	first, others := seen{}, 0
	for _, s := range all {
		if !slices.Contains(statuses, s.status) || s.status == http.StatusServiceUnavailable && s.wait != "5" {
			if others++; others == 1 {
				first = s
			}
		}
	}
	if others > 0 {
		t.Errorf("%s answered %d requests of %d other than %v: first %d with Retry-After %q", what, others, len(all), statuses, first.status, first.wait)
	}
}

// signal is sent to the running program.
func (i *instance) signal(s syscall.Signal) {
	i.Helper()
	if err := i.running.cmd.Process.Signal(s); err != nil {
		i.Fatal(err)
	}
}
