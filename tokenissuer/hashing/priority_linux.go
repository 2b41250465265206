package hashing

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// nicer is how much lower the priority is than this process's own. Where the machine is
// busy, hashes get a tenth of what requests get: people have to sign in there, too.
const nicer = 10

// startLow starts a process with a low priority from its first instruction on. A
// new process has the priority of the thread that makes it, so that is a thread
// for this alone: it ends with its goroutine, because nobody unlocks it.
func startLow(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		if syscall.Gettid() == os.Getpid() {
			started <- startLow(cmd) // on another thread: the first of a process does not end
			runtime.UnlockOSThread()
			return
		}
		own, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0) // 0 is this thread; the kernel answers with 20 less its nice value
		if err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, min(20-own+nicer, 19)) // a process of equal priority is better than none
		}
		started <- cmd.Start()
	}()
	return <-started
}

// ownProgram is the file that runs, also when another has its name by now.
func ownProgram() (string, error) { return "/proc/self/exe", nil }

// closeInherited closes the files that were open in who started this process:
// sockets of systemd's, a terminal. Go's own are marked to be closed at exec.
func closeInherited() {
	files, _ := filepath.Glob("/proc/self/fd/*") // without /proc this program could not have been found
	for _, file := range files {
		fd, err := strconv.Atoi(filepath.Base(file))
		if err != nil || fd <= 2 {
			continue
		}
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if errno == 0 && flags&syscall.FD_CLOEXEC == 0 {
			_ = syscall.Close(fd)
		}
	}
}

// endFirst makes the kernel choose this process where memory ends: the server is
// larger, and nobody misses a process that hashes. To ask for it needs no right.
func endFirst() {
	if f, err := os.OpenFile("/proc/self/oom_score_adj", os.O_WRONLY, 0); err == nil {
		_, _ = f.WriteString("1000")
		_ = f.Close()
	}
}
