package main

import (
	"context"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// lasting are the faults that last, twenty or thirty seconds in which little is done.
var lasting = map[string]func(*testing.T){
	"PostgreSQL is stopped": func(t *testing.T) { databaseAway(t, (*postgrestest.Server).Stop) },
	"PostgreSQL is killed":  func(t *testing.T) { databaseAway(t, (*postgrestest.Server).Kill) },
	"nodes are paused":      pause,
}

// They are waited for together: one place among the parallel tests is enough.
func TestNodesOutliveWhatLasts(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for name, story := range lasting {
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

// statuses counts what was answered to requests that lay within a time.
func statuses(all []seen, from, to time.Time) map[int]int {
	counts := map[int]int{}
	for _, s := range all {
		if s.began.After(from) && s.ended.Before(to) {
			counts[s.status]++
		}
	}
	return counts
}

// signal is sent to the running program.
func (i *instance) signal(s syscall.Signal) {
	i.Helper()
	if err := i.running.cmd.Process.Signal(s); err != nil {
		i.Fatal(err)
	}
}
