//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package caddymodule

import (
	"errors"
	"os"
	"syscall"
)

// holds says that hold is one.
const holds = true

// hold takes a file for this process, unless another has it. The kernel gives it back
// when the file is closed or the process ends, however it ends.
func hold(f *os.File) (bool, error) {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, os.NewSyscallError("flock", err)
		}
	}
}
