// Package argon2id computes argon2id (RFC 9106) with one lane, for a server that does other work at the same time.
//
// It differs from golang.org/x/crypto/argon2, whose compression function it has
// (the files named blamka, under their own LICENSE), in two things. The memory is
// used again by the next hash: 19 MiB of garbage for each of them make Go collect
// all the time, and every other goroutine help with it. And a hash gives way to
// goroutines that are waiting for its processor.
package argon2id

import (
	"encoding/binary"
	"runtime"
	"sync"

	"golang.org/x/crypto/blake2b"
)

const (
	version = 0x13
	kind    = 2 // argon2id

	slices      = 4
	blockLength = 128

	// stride is how many blocks are filled between two looks at who else wants the
	// processor: 0.1 ms.
	stride = 256

	// kept is the largest memory, in blocks, that stays for the next hash.
	kept = 32 << 10
)

// block is 1 KiB.
type block [blockLength]uint64

// matrices are *[]block of zeros. The collector takes them when nobody hashes.
var matrices sync.Pool

// Key derives length bytes from a password with one lane; memory is in KiB.
// passes and length are at least 1.
func Key(password, salt []byte, passes, memory, length uint32) []byte {
	seed := first(password, salt, passes, memory, length)
	m := matrix(max(memory/slices*slices, 2*slices))
	begin(m, seed)
	for pass := range passes {
		for slice := range uint32(slices) {
			fill(m, pass, slice, passes)
		}
	}
	var last [1024]byte
	for i, v := range m[len(m)-1] {
		binary.LittleEndian.PutUint64(last[8*i:], v)
	}
	giveBack(m)
	return long(int(length), last[:])
}

func matrix(blocks uint32) []block {
	if p, ok := matrices.Get().(*[]block); ok && uint32(cap(*p)) >= blocks {
		return (*p)[:blocks]
	}
	return make([]block, blocks)
}

// giveBack leaves nothing of a password behind, and the zeros a hash begins with.
func giveBack(m []block) {
	if len(m) > kept {
		return
	}
	clear(m)
	matrices.Put(&m)
}

// first is H0 (RFC 9106 §3.2, step 1), without a secret or associated data.
func first(password, salt []byte, passes, memory, length uint32) []byte {
	in := make([]byte, 0, 40+len(password)+len(salt))
	for _, n := range []uint32{1, length, memory, passes, version, kind} {
		in = binary.LittleEndian.AppendUint32(in, n)
	}
	for _, text := range [][]byte{password, salt, nil, nil} {
		in = binary.LittleEndian.AppendUint32(in, uint32(len(text)))
		in = append(in, text...)
	}
	sum := blake2b.Sum512(in)
	clear(in)
	return sum[:]
}

// begin makes the first two blocks (§3.2, steps 3 and 4).
func begin(m []block, seed []byte) {
	for column := range uint32(2) {
		in := binary.LittleEndian.AppendUint32(seed[:len(seed):len(seed)], column)
		b := long(8*blockLength, binary.LittleEndian.AppendUint32(in, 0))
		for i := range m[column] {
			m[column][i] = binary.LittleEndian.Uint64(b[8*i:])
		}
	}
}

// fill computes one slice of a pass (§3.2, steps 5 and 6). The first half of the
// first pass reads where no password decides.
func fill(m []block, pass, slice, passes uint32) {
	blocks := uint32(len(m))
	segment := blocks / slices
	independent := pass == 0 && slice < slices/2
	var addresses, zero block
	counter := block{uint64(pass), 0, uint64(slice), uint64(blocks), uint64(passes), kind}
	for i := range segment {
		if i%stride == stride-1 {
			runtime.Gosched()
		}
		if independent && i%blockLength == 0 {
			counter[6]++
			addresses = block{}
			compress(&addresses, &counter, &zero)
			inner := addresses
			addresses = block{}
			compress(&addresses, &inner, &zero)
		}
		if pass == 0 && slice == 0 && i < 2 {
			continue
		}
		at := slice*segment + i
		before := (at + blocks - 1) % blocks
		random := m[before][0]
		if independent {
			random = addresses[i%blockLength]
		}
		compress(&m[at], &m[before], &m[reference(random, pass, slice, i, segment)])
	}
}

// reference picks an earlier block (§3.4.2): of those that are finished in this
// pass, and in a later pass also of the three slices before.
func reference(random uint64, pass, slice, i, segment uint32) uint32 {
	from, span := uint32(0), slice*segment+i-1
	if pass > 0 {
		from, span = (slice+1)%slices*segment, (slices-1)*segment+i-1
	}
	x := random & 0xffffffff
	x = uint64(span) * (x * x >> 32) >> 32
	return uint32((uint64(from) + uint64(span) - 1 - x) % uint64(slices*segment))
}

// long is the hash of variable length H' (§3.3).
func long(length int, in []byte) []byte {
	out := make([]byte, 0, length)
	in = append(binary.LittleEndian.AppendUint32(nil, uint32(length)), in...)
	for length-len(out) > blake2b.Size {
		sum := blake2b.Sum512(in)
		out = append(out, sum[:blake2b.Size/2]...)
		in = sum[:]
	}
	last, err := blake2b.New(length-len(out), nil)
	if err != nil {
		panic(err) // of 1 to 64 bytes and without a key there is always one
	}
	last.Write(in)
	return last.Sum(out)
}
