package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

const hashingCommand = "token-issuer-hashing"

// hashing are the processes that hash passwords for the running program.
func (i *instance) hashing() []int {
	i.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", i.running.cmd.Process.Pid))
	if err != nil || len(lists) == 0 {
		i.Fatalf("no list of processes: %v", err)
	}
	var found []int
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread may have ended
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil && hashes(pid) {
				found = append(found, pid)
			}
		}
	}
	return found
}

// hashes reports whether a process is one that hashes, and has not ended.
func hashes(pid int) bool {
	words, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.HasSuffix(string(words), "\x00"+hashingCommand+"\x00")
}

// signsIn sends one sign-in with a password, right or not, again where the
// answer is to come again: other tests may keep the machine busy.
func (i *instance) signsIn(password string) int {
	form := byPassword("phone")
	form.Set("password", password)
	for {
		a, err := i.ask(http.MethodPost, "/oauth2/token", form.Encode())
		if err != nil {
			i.Error(err)
		}
		if a.status != http.StatusServiceUnavailable {
			return a.status
		}
	}
}

// people is an instance with somebody who can sign in.
func people(t *testing.T) *instance {
	t.Helper()
	i := newInstance(t)
	i.path = swift(t)
	i.configure(threeClients, oneSite)
	i.start()
	if n := len(i.hashing()); n != 0 {
		t.Fatalf("%d processes before there is a password", n)
	}
	i.addAlice()
	return i
}

// oneHashes wants one process to hash. A busy machine may have starved the first, which is
// given up then: the next comes with a later password, after a rest of up to a minute.
func (i *instance) oneHashes() (found []int) {
	i.Helper()
	eventuallyWithin(i.T, 10*patience, "one process hashes", func() bool {
		if found = i.hashing(); len(found) == 0 {
			i.signsIn(alicePassword)
		}
		return len(found) > 0
	})
	if len(found) != 1 {
		i.Fatalf("%d processes", len(found))
	}
	return found
}

func TestPasswordsAreHashedInAnotherProcess(t *testing.T) {
	i := people(t)
	if status := i.signsIn(alicePassword); status != http.StatusOK {
		t.Fatalf("answer %d", status)
	}
	found := i.oneHashes()
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", found[0]))
	if err != nil || strings.Contains(string(environment), "SECRET") || strings.Contains(string(environment), "HOME") {
		t.Errorf("%q, %v", environment, err)
	}

	for n := range reloads {
		i.configure(threeClients, oneSite, fmt.Sprintf("\tgrace_period %ds\n", n+1))
		if out, err := i.reload(); err != nil {
			t.Fatalf("reload %d: %v: %s", n+1, err, out)
		}
		if status := i.signsIn(alicePassword); status != http.StatusOK {
			t.Fatalf("after reload %d: %d", n+1, status)
		}
	}
	log, err := os.ReadFile(i.file("log"))
	if err != nil {
		t.Fatal(err)
	}
	starved := strings.Contains(string(log), "no answer within ") // by a busy machine, and given up
	if after := i.hashing(); !starved && (len(after) != 1 || after[0] != found[0]) {
		t.Errorf("processes %v, after %d reloads %v", found, reloads, after)
	}
	i.stop()
	eventually(t, "no process after the end", func() bool { return !hashes(found[0]) })
}

func TestKilledProcessesThatHashRefuseNobody(t *testing.T) {
	i := people(t)
	var all sync.WaitGroup
	var done, killed atomic.Int64
	for n := range 10 {
		all.Go(func() {
			defer done.Add(1)
			for m := range 5 {
				password, want := alicePassword, http.StatusOK
				if n == 9 && m == 2 {
					password, want = "wrong", http.StatusBadRequest
				}
				if status := i.signsIn(password); status != want {
					t.Errorf("%s: %d", password, status)
				}
			}
		})
	}
	eventually(t, "fifty sign-ins", func() bool {
		for _, pid := range i.hashing() {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed.Add(1)
			}
		}
		return done.Load() == 10
	})
	all.Wait()
	log, err := os.ReadFile(i.file("log"))
	if err != nil {
		t.Fatal(err)
	}
	if warned := strings.Count(string(log), "passwords are hashed in the server's own process"); killed.Load() == 0 || warned != 1 {
		t.Errorf("%d killed, %d warnings", killed.Load(), warned)
	}
}

func TestProcessesThatHashEndWithAKilledProgram(t *testing.T) {
	i := people(t)
	found := i.oneHashes()
	i.running.kill()
	i.running = nil
	eventually(t, "no process after the kill", func() bool { return !hashes(found[0]) })
}

func TestHelpHidesTheCommandThatHashes(t *testing.T) {
	i := newInstance(t)
	out, err := i.command("", "help")
	if err != nil || !strings.Contains(out, "issuer") || strings.Contains(out, hashingCommand) {
		t.Errorf("%v: %s", err, out)
	}
}
