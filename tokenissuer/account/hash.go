package account

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/pbkdf2"
	"github.com/go-crypt/crypt/algorithm/scrypt"
)

// OWASP's parameters for argon2id, and the least memory it names.
const (
	owaspMemory = 19456 // KiB
	owaspPasses = 2
	leastMemory = 7168
)

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
)

// errHash has no detail: a library's text would repeat a part of the hash.
var errHash = errors.New("stored password hash is of no known format or out of bounds")

// errCost is of a hash whose parameters are refused, or cannot be read.
var errCost = fmt.Errorf("%w: its parameters", errHash)

type hasher struct {
	memory, passes uint32
	argon2id       *argon2.Hasher
	nobody         stored // costs what a real one costs, and matches nothing
}

// stored is a password hash that was decoded and whose cost is bounded.
type stored struct {
	digest algorithm.Digest
	// asSent: other systems hashed what the person typed; ours is normalised.
	asSent bool
	weak   bool // to be replaced when the password is next seen
	reads  int  // how many bytes of a password it looks at
}

func newHasher(memory, passes uint32) (*hasher, error) {
	h := &hasher{memory: memory, passes: passes}
	if h.memory == 0 {
		h.memory = owaspMemory
	}
	if h.passes == 0 {
		h.passes = owaspPasses
	}
	var err error
	h.argon2id, err = argon2.New(argon2.WithVariantID(), argon2.WithM(h.memory), argon2.WithT(int(h.passes)),
		argon2.WithP(1), argon2.WithK(32), argon2.WithS(16))
	if err != nil {
		return nil, fmt.Errorf("argon2id parameters: %w", err)
	}
	random := make([]byte, 48)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("making a hash of nobody: %w", err)
	}
	b64 := base64.RawStdEncoding
	h.nobody, err = h.decode(fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$%s$%s", h.memory, h.passes,
		b64.EncodeToString(random[:16]), b64.EncodeToString(random[16:])))
	if err != nil {
		return nil, errors.New("argon2id parameters out of bounds")
	}
	return h, nil
}

// hash makes the PHC string of a normalised password.
func (h *hasher) hash(password string) (string, error) {
	digest, err := h.argon2id.Hash(password)
	if err != nil {
		return "", errors.New("hashing a password failed") // the cause may say what was hashed
	}
	return digest.Encode(), nil
}

// decode reads a stored hash. Its parameters are checked here, before anything
// is computed: the decoders take what they find.
func (h *hasher) decode(encoded string) (stored, error) {
	parts := strings.Split(encoded, "$")
	if len(encoded) > 1024 || len(parts) < 4 || parts[0] != "" {
		return stored{}, errHash
	}
	s := stored{asSent: true, weak: true, reads: math.MaxInt}
	var decode algorithm.DecodeFunc
	bounded := false
	switch parts[1] {
	case "argon2id", "argon2i":
		var m, t, p uint32
		// The decoder reads parameters beside the version too, so there may be none.
		bounded = parts[2] == "v=19" && scan(parts, 3, "m=%d,t=%d,p=%d", &m, &t, &p) && argon2Bounded(m, t, p)
		decode, s.asSent = argon2.Decode, false
		s.weak = parts[1] != "argon2id" || uint64(m)*uint64(t) < uint64(h.memory)*uint64(h.passes) || m < min(leastMemory, h.memory)
	case "2a", "2b", "2y": // 2x is a broken variant of its own
		cost, err := strconv.ParseUint(parts[2], 10, 8)
		bounded = len(encoded) == 60 && err == nil && 4 <= cost && cost <= maxCost
		decode, s.reads = bcrypt.Decode, bcryptReads
	case "scrypt":
		var ln, r, p uint32
		bounded = scan(parts, 2, "ln=%d,r=%d,p=%d", &ln, &r, &p) && scryptBounded(ln, r, p)
		decode = scrypt.Decode
	case "pbkdf2", "pbkdf2-sha1", "pbkdf2-sha256", "pbkdf2-sha384", "pbkdf2-sha512":
		var iterations uint32
		bounded = scan(parts, 2, "%d", &iterations) && 1 <= iterations && iterations <= maxIterations
		decode = pbkdf2.Decode
	}
	if !bounded && decode != nil {
		return stored{}, errCost
	}
	if !bounded {
		return stored{}, errHash
	}
	digest, err := decode(encoded)
	if err != nil {
		return stored{}, errHash
	}
	if key := len(digest.Key()); key < minKey || key > maxKey || len(digest.Salt()) > maxSalt {
		return stored{}, errHash
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

func argon2Bounded(m, t, p uint32) bool {
	return 1 <= p && p <= maxLanes && 8*p <= m && m <= maxMemory && 1 <= t && uint64(m)*uint64(t) <= maxWork
}

// scryptBounded: 128 times r times N bytes of memory, filled p times.
func scryptBounded(ln, r, p uint32) bool {
	if ln < 1 || ln > 20 || r < 1 || r > 64 || p < 1 || p > maxLanes {
		return false
	}
	memory := uint64(r) << ln / 8 // KiB
	return memory <= maxMemory && memory*uint64(p) <= maxWork
}
