package postgrestest

import "syscall"

// dieWithParent: a test binary that is killed leaves no server behind.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
