//go:build unix

package sqlite

import "syscall"

// access asks the kernel, which also knows of read-only file systems.
func access(name string) error {
	const write = 2 // W_OK of access(2), without a name in package syscall
	return syscall.Access(name, write)
}
