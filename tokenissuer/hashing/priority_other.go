//go:build !unix

package hashing

import (
	"os"
	"os/exec"
)

// startLow starts a process: what its priority is depends on the system.
func startLow(cmd *exec.Cmd) error { return cmd.Start() }

func ownProgram() (string, error) { return os.Executable() }

// closeInherited: Go hands no file on by itself.
func closeInherited() {}

// endFirst: the system has no word for who ends where memory does.
func endFirst() {}
