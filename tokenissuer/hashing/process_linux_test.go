package hashing

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestProcessGetsNothingButTwoPipes(t *testing.T) {
	t.Setenv("SHOP_SECRET", "hunter2")
	inherited, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	defer ours.Close()
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, inherited.Fd(), syscall.F_SETFD, 0); errno != 0 {
		t.Fatal(errno)
	}
	w, err := start("/proc/self/exe", []string{"hash"}, busy)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if _, err := w.ask(job{kind: matching, stored: bcryptOfA, password: "a"}); err != nil {
		t.Fatal(err)
	}
	proc := fmt.Sprintf("/proc/%d/", w.cmd.Process.Pid)
	environment, err := os.ReadFile(proc + "environ")
	if want := strings.Join(surroundings, "\x00") + "\x00"; err != nil || string(environment) != want {
		t.Errorf("%q, %v", environment, err)
	}
	files, _ := filepath.Glob(proc + "fd/*")
	if len(files) < 3 {
		t.Errorf("%v", files)
	}
	for _, file := range files {
		name, err := os.Readlink(file)
		want := map[string]string{"0": "pipe:", "1": "pipe:", "2": "/dev/null"}[filepath.Base(file)]
		// Of the others Go's runtime has opened each: its poller, and the limits of its control group.
		if err == nil && !strings.HasPrefix(name, want) || want == "" && !strings.HasPrefix(name, "anon_inode:") && !strings.HasPrefix(name, "/sys/fs/cgroup/") {
			t.Errorf("%s is %s", file, name)
		}
	}
	if score, err := os.ReadFile(proc + "oom_score_adj"); err != nil || string(score) != "1000\n" {
		t.Errorf("where memory ends, the server may end before it: %q, %v", score, err)
	}
	own, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	threads, _ := filepath.Glob(proc + "task/*")
	for _, thread := range threads {
		id, _ := strconv.Atoi(filepath.Base(thread))
		if theirs, err := syscall.Getpriority(syscall.PRIO_PROCESS, id); err != nil || theirs != max(own-nicer, 1) {
			t.Errorf("thread %d: priority %d beside %d, %v", id, theirs, own, err)
		}
	}
}

// The thread whose priority was lowered must not go on to serve requests.
func TestOwnPriorityStays(t *testing.T) {
	own, err := syscall.Getpriority(syscall.PRIO_PROCESS, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		w, err := start("/proc/self/exe", []string{"leave"}, busy)
		if err != nil {
			t.Fatal(err)
		}
		<-w.ended
		w.close()
	}
	low := func() (n int) {
		threads, _ := filepath.Glob("/proc/self/task/*")
		for _, thread := range threads {
			id, _ := strconv.Atoi(filepath.Base(thread))
			if now, err := syscall.Getpriority(syscall.PRIO_PROCESS, id); err == nil && now != own {
				n++
			}
		}
		return n
	}
	for end := time.Now().Add(busy); low() > 0; { // a thread takes a moment to end
		if time.Now().After(end) {
			t.Fatalf("%d threads have another priority", low())
		}
	}
}

// children are the processes that this one has started.
func children(t *testing.T) []int {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		t.Fatalf("no list of processes: %v", err)
	}
	var all []int
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread may have ended
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, pid)
		}
	}
	return all
}

func TestKilledProcessCostsNobodyTheSignIn(t *testing.T) {
	p, told := newPool(t, "hash")
	h, err := New(2048, 1, p)
	if err != nil {
		t.Fatal(err)
	}
	made, err := h.Hash(right)
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.Decode(made)
	if err != nil {
		t.Fatal(err)
	}
	const enough = 5
	end := time.Now().Add(busy)
	var done, killed atomic.Int64
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() {
			defer done.Add(1)
			password := []string{right, "wrong"}[n%2]
			for first := true; first || killed.Load() < enough && time.Now().Before(end); first = false {
				if h.Match(s, password) != (password == right) {
					t.Errorf("%s: answered wrongly", password)
				}
			}
		})
	}
	for done.Load() < 50 {
		for _, pid := range children(t) {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed.Add(1)
			}
		}
		p.mu.Lock()
		p.again = time.Time{} // for the next to be killed, too
		p.mu.Unlock()
	}
	all.Wait()
	if killed.Load() < enough || len(told.all) != 1 || !strings.Contains(told.all[0].Error(), "signal: killed") {
		t.Errorf("%d killed, told %v", killed.Load(), told.all)
	}
}

// A process that is stopped, or starved, answers nothing and does not end. People who
// sign in meanwhile have five seconds in their queue: they do not wait for it one after
// the other, which would be more than a minute here.
func TestSilentProcessCostsNobodyTheSignIn(t *testing.T) {
	p, told := newPool(t, "hash")
	p.slots = make(chan struct{}, 1) // all wait for this one process
	h, _ := newHasher(t, p)
	made, err := h.Hash(right)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := h.Decode(made)
	if err != nil {
		t.Fatal(err)
	}
	silent := p.idle[0]
	silent.silent = patience
	if err := silent.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var all sync.WaitGroup
	for n := range 40 {
		all.Go(func() {
			if h.Match(stored, []string{right, "wrong"}[n%2]) != (n%2 == 0) {
				t.Error("answered wrongly")
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the last of them waited %s", took)
	}
	if <-silent.ended; len(told.all) != 1 || !strings.Contains(told.all[0].Error(), "no answer within 2.") {
		t.Errorf("told %v", told.all)
	}
}

// A process that is stopped while it has nothing to do is asked nothing, and reads
// nothing of its end.
func TestStoppedProcessEndsWhenItIsNotNeeded(t *testing.T) {
	t.Parallel()
	p, _ := newPool(t, "hash")
	h, _ := newHasher(t, p)
	if _, err := h.Hash(right); err != nil {
		t.Fatal(err)
	}
	idle := p.idle[0]
	if err := idle.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.sweep(time.Now().Add(busy))
	select {
	case <-idle.ended:
	case <-time.After(busy):
		t.Error("it is still there")
		idle.kill()
	}
}
