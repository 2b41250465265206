package hashing

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary is the process that hashes, too; in these roles badly.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "hash":
		if Main() != nil {
			os.Exit(1)
		}
	case "leave": // right away
	case "babble":
		_, _ = os.Stdout.WriteString("usage: gatehouse run, reload, stop …")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "repeat": // always right, always number 1
		for {
			if _, _, err := readFrame(os.Stdin, maxJob); err != nil {
				return
			}
			_ = writeFrame(os.Stdout, 1, []byte{same})
		}
	case "show": // the environment in the place of an answer
		_ = writeFrame(os.Stdout, 1, []byte(strings.Join(os.Environ(), "\n")))
	default:
		os.Exit(m.Run())
	}
}

// told gathers warnings.
type told struct {
	sync.Mutex
	all []error
}

func (w *told) warn(err error) {
	w.Lock()
	defer w.Unlock()
	w.all = append(w.all, err)
}

// busy is how long a right process may have no turn beside other tests: in service it
// would be given up. As long has one no job before the pool itself ends it, while a test
// looks at it.
const busy = 10 * time.Minute

func newPool(t *testing.T, role string) (*Pool, *told) {
	t.Helper()
	w := new(told)
	p, err := NewPool([]string{role}, w.warn)
	if err != nil {
		t.Fatal(err)
	}
	p.slots, p.silent, p.rest = make(chan struct{}, 4), busy, busy // on any machine
	t.Cleanup(func() { p.sweep(time.Now().Add(busy)) })
	return p, w
}

func newHasher(t *testing.T, p *Pool) (*Hasher, Stored) {
	t.Helper()
	h, err := New(64, 1, p)
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.Decode(bcryptOfA)
	if err != nil {
		t.Fatal(err)
	}
	return h, s
}

func TestOtherProcessHashesAsThisOne(t *testing.T) {
	p, told := newPool(t, "hash")
	h, stored := newHasher(t, p)
	made, err := h.Hash(right)
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.Decode(made)
	if err != nil || s.Weak || !h.Match(s, right) || h.Match(s, "wrong") || !h.Match(stored, "a") || h.Match(stored, "b") || h.Match(h.Nobody(), right) {
		t.Errorf("%s, %v", made, err)
	}
	if len(p.idle) != 1 || p.idle[0].number != 6 {
		t.Fatalf("%d processes", len(p.idle))
	}
	if h.Match(stored, strings.Repeat("a", maxJob)) || p.idle[0].number != 6 {
		t.Error("what no frame holds was sent")
	}
	if len(told.all) != 0 {
		t.Error(told.all)
	}
}

// Whatever the process does: people are signed in, and nobody by accident.
func TestWithoutGoodAnswersThisProcessHashes(t *testing.T) {
	for role, why := range map[string]string{
		"leave": "EOF", "babble": "malformed", "show": "malformed", "/nonexistent": "no such file",
	} {
		p, told := newPool(t, role)
		if strings.HasPrefix(role, "/") {
			p.program = role
		}
		h, stored := newHasher(t, p)
		for range 3 {
			if !h.Match(stored, "a") || h.Match(stored, "b") {
				t.Errorf("%s: answered wrongly", role)
			}
		}
		if len(told.all) != 1 || !strings.Contains(told.all[0].Error(), why) && !strings.Contains(told.all[0].Error(), "broken pipe") {
			t.Errorf("%s: told %v", role, told.all)
		}
		if len(p.idle) != 0 {
			t.Errorf("%s: %d processes", role, len(p.idle))
		}
	}
}

func TestAnswerToAnotherJobIsNone(t *testing.T) {
	p, told := newPool(t, "repeat")
	h, stored := newHasher(t, p)
	if !h.Match(stored, "a") || len(told.all) != 0 {
		t.Fatalf("the first answer has the right number: %v", told.all)
	}
	if h.Match(stored, "b") {
		t.Error("an answer with another job's number was believed")
	}
	if len(told.all) != 1 || !errors.Is(told.all[0], errMessage) {
		t.Error(told.all)
	}
}

func TestProcessesWithoutAJobEnd(t *testing.T) {
	p, told := newPool(t, "hash")
	h, stored := newHasher(t, p)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { h.Match(stored, "a") })
	}
	all.Wait()
	idle, _ := p.look()
	if n := len(idle); n == 0 || n > cap(p.slots) {
		t.Fatalf("%d processes", n)
	}
	first, last := idle[0], idle[len(idle)-1]
	began := first.since
	last.since = began.Add(busy / 2) // it may be the only one
	p.sweep(began.Add(busy - 1))
	if idle, _ := p.look(); idle[0] != first {
		t.Fatal("ended early")
	}
	p.sweep(began.Add(busy))
	if first != last {
		<-first.ended
	}
	if idle, _ := p.look(); len(idle) == 0 {
		t.Fatal("ended before its time")
	}
	p.sweep(last.since.Add(busy))
	<-last.ended
	if idle, swept := p.look(); last.state != nil || len(idle) != 0 || !swept {
		t.Errorf("%v, %d processes", last.state, len(idle))
	}
	if !h.Match(stored, "a") {
		t.Error("no other after it")
	}
	if idle, _ := p.look(); len(idle) != 1 {
		t.Errorf("%d processes after it", len(idle))
	}
	if len(told.all) != 0 {
		t.Error(told.all)
	}
}

// look is who has nothing to do, and whether there is no timer for them: one that a sweep
// has set for a moment of the test's own clock comes by at once.
func (p *Pool) look() (idle []*worker, swept bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.idle), p.sweeper == nil
}

func TestFailuresPutTheNextStartOff(t *testing.T) {
	p, told := newPool(t, "hash")
	now := time.Now()
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		p.failed(now, io.EOF)
		if _, err := p.take(now.Add(pause*time.Second - 1)); !errors.Is(err, errPaused) {
			t.Errorf("within %d s: %v", pause, err)
		}
		now = now.Add(pause * time.Second)
	}
	if len(told.all) != 1 {
		t.Errorf("told %d times", len(told.all))
	}
	p.failed(now.Add(tellEvery), io.EOF)
	if len(told.all) != 2 {
		t.Errorf("told %d times later on", len(told.all))
	}
	w, err := p.take(now.Add(tellEvery + lastPause))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ask(job{kind: matching, stored: bcryptOfA, password: "a"}); err != nil {
		t.Fatal(err)
	}
	if p.give(now, w); p.failures != 0 {
		t.Error("a new process that works is no end of the failures")
	}
}

func BenchmarkMatch(b *testing.B) {
	p, err := NewPool([]string{"hash"}, func(err error) { b.Error(err) })
	if err != nil {
		b.Fatal(err)
	}
	for name, pool := range map[string]*Pool{"here": nil, "elsewhere": p} {
		h, err := New(0, 0, pool)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.Match(h.Nobody(), right)
			}
		})
	}
}
