package account

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/hashing"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// DefaultMinLength is how many characters a new password has where nobody asks for
// more.
const DefaultMinLength = 8

// Source is a password source as the operator configured it. The zero value
// works: usernames and e-mail addresses, five failures lock for a quarter of an
// hour, passwords of eight characters that never expire.
type Source struct {
	ID          string
	Identifiers []store.IdentifierKind // what a name may be; default username and e-mail
	Failures    int                    // this many wrong passwords lock a name; default 5
	Lock        time.Duration          // for this long, and they count for this long; default 15m
	MinLength   int                    // characters of a new password; default DefaultMinLength
	MaxAge      time.Duration          // an older password is expired; 0 never
	History     int                    // a new password is none of this many before it; default 0
}

func (s Source) withDefaults() Source {
	if len(s.Identifiers) == 0 {
		s.Identifiers = []store.IdentifierKind{store.ByUsername, store.ByEmail}
	}
	if s.Failures <= 0 {
		s.Failures = 5
	}
	if s.Lock <= 0 {
		s.Lock = 15 * time.Minute
	}
	if s.MinLength <= 0 {
		s.MinLength = DefaultMinLength
	}
	return s
}

// guessesPerToken is how many requests may show codes for one otp_token at once;
// more than a handful are not one person's.
const guessesPerToken = 256

// Options are what Accounts works with. Every zero value is the safe one.
type Options struct {
	// Key hashes names and addresses before they are stored with failed attempts.
	// All nodes of one store need the same, of at least 32 bytes. Default: a random
	// one, with which a restart forgets every lock-out.
	Key []byte

	// Region is how a phone number without + is read, as ISO 3166-1 alpha-2.
	// Default CN.
	Region string

	// Memory (KiB) and Passes are the argon2id parameters of new hashes. Default
	// 19456 and 2, OWASP's; below them a stolen database is cheaper to guess.
	Memory, Passes uint32

	// Hashes is how many passwords are hashed at once; each takes a CPU and Memory.
	// Default: hashing.Most.
	Hashes int

	// Pool are the processes that hash. Default: this one.
	Pool *hashing.Pool

	// Wait is how long a sign-in waits for its turn before it is told to come
	// again. Default 5s.
	Wait time.Duration
}

// Accounts proves people and makes the writes that concern their accounts. It is
// safe for concurrent use.
type Accounts struct {
	store   *store.Store
	region  string
	key     []byte
	hasher  *hashing.Hasher
	queue   *queue
	flights *flights // of passwords, by name
	guesses *flights // of one-time codes, by otp_token
}

// New makes Accounts over a store. It hashes nothing, so it costs no start time.
func New(st *store.Store, o Options) (*Accounts, error) {
	if o.Region == "" {
		o.Region = "CN"
	}
	if !KnownRegion(o.Region) {
		return nil, fmt.Errorf("phone region %q is not known", o.Region)
	}
	if o.Key == nil {
		o.Key = make([]byte, 32)
		if _, err := rand.Read(o.Key); err != nil {
			return nil, fmt.Errorf("making a key for names: %w", err)
		}
	}
	if len(o.Key) < 32 {
		return nil, errors.New("the key for names needs 32 bytes")
	}
	if o.Hashes <= 0 {
		o.Hashes = hashing.Most()
	}
	if o.Wait <= 0 {
		o.Wait = 5 * time.Second
	}
	h, err := hashing.New(o.Memory, o.Passes, o.Pool)
	if err != nil {
		return nil, err
	}
	q := newQueue(o.Hashes, o.Wait)
	return &Accounts{
		store: st, region: o.Region, key: o.Key, hasher: h,
		queue: q, flights: newFlights(cap(q.seats) / 2), guesses: newFlights(guessesPerToken),
	}, nil
}
