package hashing

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/pbkdf2"
	"github.com/go-crypt/crypt/algorithm/scrypt"
)

// leastMemory is the least that OWASP names for argon2id, in KiB.
const leastMemory = 7168

// The most a stored hash may cost. Hashes come from other systems' exports: one
// line of such a file must not take the memory of the machine, nor a minute.
const (
	maxMemory     = 256 << 10 // KiB
	maxWork       = 2 << 20   // KiB times passes
	maxLanes      = 16
	maxCost       = 15 // bcrypt
	maxIterations = 5_000_000
	minKey        = 16 // bytes
	maxKey        = 64
	maxSalt       = 256
	bcryptReads   = 72 // bytes of a password
	maxStored     = 1024
)

// errHash has no detail: a library's text would repeat a part of the hash.
var errHash = errors.New("stored password hash is of no known format or out of bounds")

// errCost is of a hash whose parameters are refused, or cannot be read.
var errCost = fmt.Errorf("%w: its parameters", errHash)

// Stored is a password hash that was decoded and whose cost is bounded.
type Stored struct {
	encoded string
	digest  algorithm.Digest
	// AsSent: other systems hashed what the person typed; ours is normalised.
	AsSent bool
	Weak   bool          // to be replaced when the password is next seen
	Reads  int           // how many bytes of a password it looks at
	cost   time.Duration // the most it takes on a slow machine
}

// What hashes take where the machine is slow and busy: several times what they take
// on one that is not.
const (
	perKiB       = 4 * time.Microsecond // of argon2 and scrypt, for each pass and lane
	perRound     = 250 * time.Microsecond
	perIteration = 4 * time.Microsecond
)

// Decode reads a stored hash. Its parameters are checked here, before anything
// is computed: the decoders take what they find.
func (h *Hasher) Decode(encoded string) (Stored, error) {
	parts := strings.Split(encoded, "$")
	if len(encoded) > maxStored || len(parts) < 4 || parts[0] != "" {
		return Stored{}, errHash
	}
	s := Stored{encoded: encoded, AsSent: true, Weak: true, Reads: math.MaxInt}
	var decode algorithm.DecodeFunc
	bounded := false
	switch parts[1] {
	case "argon2id", "argon2i":
		var m, t, p uint32
		// The decoder reads parameters beside the version too, so there may be none.
		bounded = parts[2] == "v=19" && scan(parts, 3, "m=%d,t=%d,p=%d", &m, &t, &p) && argon2Bounded(m, t, p)
		decode, s.AsSent = argon2.Decode, false
		s.cost = perKiB * time.Duration(uint64(m)*uint64(t))
		s.Weak = parts[1] != "argon2id" || uint64(m)*uint64(t) < uint64(h.memory)*uint64(h.passes) || m < min(leastMemory, h.memory)
	case "2a", "2b", "2y": // 2x is a broken variant of its own
		cost, err := strconv.ParseUint(parts[2], 10, 8)
		bounded = len(encoded) == 60 && err == nil && 4 <= cost && cost <= maxCost
		decode, s.Reads = bcrypt.Decode, bcryptReads
		s.cost = perRound << min(cost, maxCost)
	case "scrypt":
		var ln, r, p uint32
		bounded = scan(parts, 2, "ln=%d,r=%d,p=%d", &ln, &r, &p) && scryptBounded(ln, r, p)
		decode = scrypt.Decode
		s.cost = perKiB * time.Duration(scryptMemory(ln, r)*uint64(p))
	case "pbkdf2", "pbkdf2-sha1", "pbkdf2-sha256", "pbkdf2-sha384", "pbkdf2-sha512":
		var iterations uint32
		bounded = scan(parts, 2, "%d", &iterations) && 1 <= iterations && iterations <= maxIterations
		decode = pbkdf2.Decode
		s.cost = perIteration * time.Duration(iterations)
	}
	if !bounded && decode != nil {
		return Stored{}, errCost
	}
	if !bounded {
		return Stored{}, errHash
	}
	digest, err := decode(encoded)
	if err != nil {
		return Stored{}, errHash
	}
	if key := len(digest.Key()); key < minKey || key > maxKey || len(digest.Salt()) > maxSalt {
		return Stored{}, errHash
	}
	s.digest = digest
	return s, nil
}

// scan reads part i by a format, and takes it only if it prints back the same.
func scan(parts []string, i int, format string, into ...*uint32) bool {
	if i >= len(parts) {
		return false
	}
	pointers, values := make([]any, len(into)), make([]any, len(into))
	for n := range into {
		pointers[n] = into[n]
	}
	if _, err := fmt.Sscanf(parts[i], format, pointers...); err != nil {
		return false
	}
	for n := range into {
		values[n] = *into[n]
	}
	return fmt.Sprintf(format, values...) == parts[i]
}

// Problem says what keeps a stored hash from being taken, or "".
func Problem(encoded string) string {
	switch _, err := (&Hasher{}).Decode(encoded); {
	case err == nil:
		return ""
	case errors.Is(err, errCost):
		return fmt.Sprintf("parameters out of bounds: at most %d MiB and %d lanes of argon2 and scrypt, bcrypt 4 to %d, %d iterations of pbkdf2",
			maxMemory>>10, maxLanes, maxCost, maxIterations)
	}
	return "expected a hash of argon2id, bcrypt, scrypt or pbkdf2, such as $argon2id$v=19$…"
}

func argon2Bounded(m, t, p uint32) bool {
	return 1 <= p && p <= maxLanes && 8*p <= m && m <= maxMemory && 1 <= t && uint64(m)*uint64(t) <= maxWork
}

// scryptMemory in KiB: 128 times r times N bytes.
func scryptMemory(ln, r uint32) uint64 { return uint64(r) << min(ln, 32) / 8 }

// scryptBounded: the memory is filled p times.
func scryptBounded(ln, r, p uint32) bool {
	if ln < 1 || ln > 20 || r < 1 || r > 64 || p < 1 || p > maxLanes {
		return false
	}
	memory := scryptMemory(ln, r)
	return memory <= maxMemory && memory*uint64(p) <= maxWork
}
