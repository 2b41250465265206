//go:build !linux

package token

import "runtime"

// giveWay lets goroutines that wait for this processor go first.
func giveWay() { runtime.Gosched() }
