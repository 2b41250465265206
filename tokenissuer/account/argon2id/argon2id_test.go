package argon2id

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"
)

func TestSameAsTheLibrary(t *testing.T) {
	for _, c := range []struct{ passes, memory, length uint32 }{
		{1, 8, 16}, {2, 8, 32}, {1, 9, 32}, {1, 11, 1}, {3, 64, 32}, {2, 1023, 64}, {1, 1, 65}, {5, 7168, 128}, {2, 19456, 32}, {1, kept + 8, 32},
	} {
		for _, password := range []string{"", "correct horse battery staple", string(bytes.Repeat([]byte("x"), 1024))} {
			salt := []byte("0123456789abcdef")
			for range 2 { // the second has the first one's memory
				if got, want := Key([]byte(password), salt, c.passes, c.memory, c.length), argon2.IDKey([]byte(password), salt, c.passes, c.memory, 1, c.length); !bytes.Equal(got, want) {
					t.Fatalf("%+v, %d bytes: %x, want %x", c, len(password), got, want)
				}
			}
		}
	}
}

// Whoever fills memory that another hash gave back must find zeros there, in
// whatever sizes they come.
func FuzzSameAsTheLibrary(f *testing.F) {
	f.Add([]byte("password"), []byte("salt"), uint8(2), uint16(64), uint8(32))
	f.Add([]byte(""), []byte(""), uint8(0), uint16(0), uint8(0))
	f.Fuzz(func(t *testing.T, password, salt []byte, passes uint8, memory uint16, length uint8) {
		p, m, l := uint32(passes%4)+1, uint32(memory%2048)+1, uint32(length)+1
		if got, want := Key(password, salt, p, m, l), argon2.IDKey(password, salt, p, m, 1, l); !bytes.Equal(got, want) {
			t.Fatalf("%d passes, %d KiB: %x, want %x", p, m, got, want)
		}
	})
}

func TestHashesAtOnceDoNotMeet(t *testing.T) {
	var all sync.WaitGroup
	for n := range uint32(16) {
		all.Go(func() {
			password := binary.LittleEndian.AppendUint32(nil, n)
			for range 4 {
				if got, want := Key(password, password, 1, 256+n, 32), argon2.IDKey(password, password, 1, 256+n, 1, 32); !bytes.Equal(got, want) {
					t.Errorf("%d: %x, want %x", n, got, want)
				}
			}
		})
	}
	all.Wait()
}

func TestMemoryIsUsedAgainAndHoldsNothing(t *testing.T) {
	m := matrix(64)
	m[7][7] = 42
	giveBack(m)
	if again := matrix(64); again[7][7] != 0 {
		t.Error("what was in it is still there")
	}
}

func BenchmarkOWASP(b *testing.B) {
	b.Run("here", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Key([]byte("password"), []byte("0123456789abcdef"), 2, 19456, 32)
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			argon2.IDKey([]byte("password"), []byte("0123456789abcdef"), 2, 19456, 1, 32)
		}
	})
}
