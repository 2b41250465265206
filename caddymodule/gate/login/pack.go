package login

import (
	"encoding/binary"
	"errors"
)

// What is sealed is a list of texts, each behind its length. It is opened at
// every request, so it is nothing that needs reflection.

func pack(dst []byte, texts ...string) []byte {
	for _, t := range texts {
		dst = binary.AppendUvarint(dst, uint64(len(t)))
		dst = append(dst, t...)
	}
	return dst
}

var errPacked = errors.New("not what was packed")

// unpack fills the texts. What is left over is what a later version has added, on
// another node: it is sealed, so nobody else has.
func unpack(src []byte, texts ...*string) error {
	for _, t := range texts {
		size, n := binary.Uvarint(src)
		if n <= 0 || size > uint64(len(src)-n) {
			return errPacked
		}
		*t, src = string(src[n:n+int(size)]), src[n+int(size):]
	}
	return nil
}
