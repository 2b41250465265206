//go:build amd64 && gc && !purego

package argon2id

import "golang.org/x/sys/cpu"

//go:noescape
func mixBlocksSSE2(out, a, b, c *block)

//go:noescape
func xorBlocksSSE2(out, a, b, c *block)

//go:noescape
func blamkaSSE4(b *block)

func compress(out, a, b *block) {
	if !cpu.X86.HasSSE41 {
		processBlockGeneric(out, a, b, true)
		return
	}
	var t block
	mixBlocksSSE2(&t, a, b, &t)
	blamkaSSE4(&t)
	xorBlocksSSE2(out, a, b, &t)
}
