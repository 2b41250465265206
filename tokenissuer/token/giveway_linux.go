package token

import (
	"runtime"
	"syscall"
)

// giveWay lets requests that wait for this core go first, those of this thread's
// processor in Go and those of other threads in the kernel. What follows computes for
// most of a millisecond without a break, and Linux lets who runs finish such a slice.
func giveWay() {
	runtime.Gosched()
	// Not a raw call: Go may give the processor to another thread meanwhile.
	_, _, _ = syscall.Syscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) // it never fails
}
