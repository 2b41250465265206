package hashing

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

const (
	idleMost = time.Minute // a process without a job ends

	// A process that fails is not replaced at once, and the longer the more have.
	firstPause = time.Second
	lastPause  = time.Minute
	tellEvery  = 10 * time.Minute
)

var errPaused = errors.New("not started again yet")

// Pool does jobs in processes: none while there is nothing to do, as many as
// there are jobs, and at most Most. It is safe for concurrent use.
type Pool struct {
	program string
	args    []string
	silent  time.Duration // how long a process may be, beyond what its job costs
	rest    time.Duration // how long a process stays without a job
	warn    func(error)
	slots   chan struct{} // processes that work

	mu       sync.Mutex
	idle     []*worker // the last used last
	sweeper  *time.Timer
	failures int       // in a row
	again    time.Time // when the next process may be started
	told     time.Time
}

// NewPool makes a pool of processes that are the running program, started again
// with these arguments; its main function has to call Main then. It starts none
// yet. warn is told, once in a while, why there is none when one is needed.
func NewPool(args []string, warn func(error)) (*Pool, error) {
	program, err := ownProgram()
	if err != nil {
		return nil, fmt.Errorf("the name of the running program: %w", err)
	}
	return &Pool{program: program, args: args, silent: patience, rest: idleMost, warn: warn, slots: make(chan struct{}, Most())}, nil
}

// Most is how many passwords may be hashed at once: one CPU is left to others.
func Most() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// ask has a job done by a process. Any error means that it was not done.
func (p *Pool) ask(j job) (answer, error) {
	p.slots <- struct{}{}
	defer func() { <-p.slots }()
	w, err := p.take(time.Now())
	if errors.Is(err, errPaused) {
		return answer{}, err
	}
	var a answer
	if err == nil {
		a, err = w.ask(j)
	}
	if err != nil {
		p.failed(time.Now(), err)
		return answer{}, err
	}
	p.give(time.Now(), w)
	return a, nil
}

// take returns a process that has nothing to do, or a new one.
func (p *Pool) take(now time.Time) (*worker, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		last := len(p.idle) - 1
		w := p.idle[last]
		p.idle = p.idle[:last]
		if !w.hasEnded() {
			return w, nil
		}
		w.close()
	}
	if now.Before(p.again) {
		return nil, errPaused
	}
	return start(p.program, p.args, p.silent)
}

// give takes a process back that has answered.
func (p *Pool) give(now time.Time, w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.number == 1 {
		p.failures = 0 // those that start now work
	}
	w.since = now
	p.idle = append(p.idle, w)
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(p.rest, func() { p.sweep(time.Now()) })
	}
}

// failed puts the next start off.
func (p *Pool) failed(now time.Time, err error) {
	p.mu.Lock()
	pause := min(firstPause<<min(p.failures, 10), lastPause)
	p.failures++
	p.again = now.Add(pause)
	tell := p.told.IsZero() || now.Sub(p.told) >= tellEvery
	if tell {
		p.told = now
	}
	p.mu.Unlock()
	if tell {
		p.warn(err)
	}
}

// sweep ends the processes that have had nothing to do for long enough.
func (p *Pool) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 && now.Sub(p.idle[0].since) >= p.rest {
		p.idle[0].close()
		p.idle = p.idle[1:]
	}
	p.sweeper = nil
	if len(p.idle) > 0 {
		p.sweeper = time.AfterFunc(p.idle[0].since.Add(p.rest).Sub(now), func() { p.sweep(time.Now()) })
	}
}
