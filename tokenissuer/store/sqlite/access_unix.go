//go:build unix

package sqlite

import (
	"io/fs"
	"os"
	"os/user"
	"strconv"
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

// otherOwner is whom a file belongs to that root had better not write in the place
// of its owner, or "".
func otherOwner(info fs.FileInfo) string {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || s.Uid == 0 {
		return ""
	}
	id := strconv.FormatUint(uint64(s.Uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "#" + id
}
