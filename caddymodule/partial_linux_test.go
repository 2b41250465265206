package caddymodule

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// asUnheld says how far a further process of TestCopyIsMadeWhereNothingIsHeld is.
const asUnheld = "PARTIAL_TEST_UNHELD"

// Some file systems hold nothing: those of a network, of a FUSE. A copy is made there all
// the same. What was left by another one is not known from what is being written, and
// stays. Here the kernel says so of every file.
func TestCopyIsMadeWhereNothingIsHeld(t *testing.T) {
	switch os.Getenv(asUnheld) {
	case "":
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCopyIsMadeWhereNothingIsHeld$", "-test.v")
		cmd.Env = append(os.Environ(), asUnheld+"=to be", "TMPDIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v: %s", err, out)
		}
	case "to be":
		if err := unhold(append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, asUnheld+"=") }), asUnheld+"=it is")); err != nil {
			t.Fatal(err)
		}
	default:
		copiesUnheld(t)
	}
}

// unhold becomes this program anew, without flock(2), which is over with it.
func unhold(environment []string) error {
	runtime.LockOSThread() // the filter is the thread's, and the program's that it becomes
	const (
		noNewPrivileges, setFilter, filters = 38, 22, 2
		allow, refuse                       = 0x7fff0000, 0x00050000 | uint32(syscall.ENOLCK)
	)
	program := []syscall.SockFilter{
		{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS}, // the number of the call
		{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, K: syscall.SYS_FLOCK, Jf: 1},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: refuse},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: allow},
	}
	filter := syscall.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, noNewPrivileges, 1, 0, 0, 0, 0); e != 0 {
		return os.NewSyscallError("prctl", e)
	}
	if _, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, setFilter, filters, uintptr(unsafe.Pointer(&filter)), 0, 0, 0); e != 0 {
		return os.NewSyscallError("prctl", e)
	}
	return os.NewSyscallError("exec", syscall.Exec(os.Args[0], os.Args, environment))
}

func copiesUnheld(t *testing.T) {
	folder := t.TempDir()
	name, left := filepath.Join(folder, "copy"), filepath.Join(folder, partials("copy")+"1")
	f, err := os.Create(left)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := hold(f); held || !errors.Is(err, syscall.ENOLCK) {
		t.Fatalf("it is held: %v, %v; this tests nothing", held, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	write := func(text string, beside func() error) func(*os.File) error {
		return func(f *os.File) error {
			_, err := f.WriteString(text)
			return errors.Join(err, beside())
		}
	}
	none := func() error { return nil }
	err = writeNew(name, true, write("the first", func() error { return writeNew(name, true, write("the second", none)) }))
	if text, readErr := os.ReadFile(name); err != nil || readErr != nil || string(text) != "the first" {
		t.Errorf("%q, %v, %v", text, err, readErr)
	}
	broken := errors.New("broken off")
	if err := writeNew(name, true, write("the third", func() error { return broken })); !errors.Is(err, broken) {
		t.Error(err)
	}
	if got, want := files(t, folder), []string{filepath.Base(left), "copy"}; !slices.Equal(got, want) {
		t.Errorf("left: %q, want %q", got, want)
	}
}
