//go:build unix

package sqlite

import (
	"io/fs"
	"syscall"
)

// access asks the kernel, which also knows of read-only file systems.
func access(name string) error {
	const write = 2 // W_OK of access(2), without a name in package syscall
	return syscall.Access(name, write)
}

// named is under how many names the file can be opened.
func named(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 1
}
