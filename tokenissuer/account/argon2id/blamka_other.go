//go:build !amd64 || purego || !gc

package argon2id

func compress(out, a, b *block) { processBlockGeneric(out, a, b, true) }
