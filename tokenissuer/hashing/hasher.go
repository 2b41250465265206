package hashing

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-crypt/crypt/algorithm/argon2"
)

// OWASP's parameters for argon2id.
const (
	owaspMemory = 19456 // KiB
	owaspPasses = 2
)

// Hasher makes hashes of one cost, and compares passwords with those of any.
type Hasher struct {
	memory, passes uint32
	nobody         Stored
	pool           *Pool
}

// New makes a Hasher whose new hashes are argon2id with so many KiB and passes,
// each OWASP's where it is 0. Without a pool it hashes in this process.
func New(memory, passes uint32, pool *Pool) (*Hasher, error) {
	h := &Hasher{memory: memory, passes: passes, pool: pool}
	if h.memory == 0 {
		h.memory = owaspMemory
	}
	if h.passes == 0 {
		h.passes = owaspPasses
	}
	if _, err := argon2id(h.memory, h.passes); err != nil {
		return nil, err
	}
	random := make([]byte, 48)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("making a hash of nobody: %w", err)
	}
	b64 := base64.RawStdEncoding
	var err error
	h.nobody, err = h.Decode(h.prefix() + b64.EncodeToString(random[:16]) + "$" + b64.EncodeToString(random[16:]))
	if err != nil {
		return nil, errors.New("argon2id parameters out of bounds")
	}
	return h, nil
}

func argon2id(memory, passes uint32) (*argon2.Hasher, error) {
	h, err := argon2.New(argon2.WithVariantID(), argon2.WithM(memory), argon2.WithT(int(passes)),
		argon2.WithP(1), argon2.WithK(32), argon2.WithS(16))
	if err != nil {
		return nil, fmt.Errorf("argon2id parameters: %w", err)
	}
	return h, nil
}

// prefix is how the hashes begin that this Hasher makes.
func (h *Hasher) prefix() string {
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$", h.memory, h.passes)
}

// Nobody is a hash that costs what a real one costs, and matches nothing.
func (h *Hasher) Nobody() Stored { return h.nobody }

// Hash makes the PHC string of a normalised password.
func (h *Hasher) Hash(password string) (string, error) {
	a := h.do(job{kind: making, memory: h.memory, passes: h.passes, password: password, cost: h.nobody.cost})
	if a.kind != made {
		return "", errors.New("hashing a password failed") // the cause may say what was hashed
	}
	return a.encoded, nil
}

// Match reports whether a hash is of this password.
func (h *Hasher) Match(s Stored, password string) bool {
	return h.do(job{kind: matching, stored: s.encoded, password: password, cost: s.cost}).kind == same
}

// do has a job done in another process, or does it here: nobody is refused
// because no process could be had.
func (h *Hasher) do(j job) answer {
	if h.pool != nil && j.fits() {
		if a, err := h.pool.ask(j); err == nil {
			return a
		}
	}
	return j.do()
}
