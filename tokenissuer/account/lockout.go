package account

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// rememberFor is how long recording a failure may take after its caller left.
const rememberFor = 5 * time.Second

// lockout is the counters one sign-in is under. A stranger is under two: of the
// name, for all strangers together, and of the name at its network. An address
// that has signed in as this account before is under one of its own, so that
// neither strangers who lock the name nor neighbours in its network lock out who
// owns it.
type lockout struct {
	source   Source
	name     store.Hash
	here     store.Hash // the name at this network, or, where it is known, at this address
	known    bool
	failures bool // something is counted that a success should clear
}

func (a *Accounts) lockout(src Source, name identity, from netip.Addr, known bool) *lockout {
	l := &lockout{source: src, name: a.nameKey(name), known: known}
	if known {
		l.here = a.digest("name at address", string(name.kind), name.value, address(from))
	} else {
		l.here = a.digest("name at network", string(name.kind), name.value, Network(from))
	}
	return l
}

func (a *Accounts) nameKey(name identity) store.Hash {
	return a.digest("name", string(name.kind), name.value)
}

// keys are the counters that a failure goes to and that can refuse. The first is
// also where attempts wait for each other: strangers must not make the owner wait.
func (l *lockout) keys() []store.Hash {
	if l.known {
		return []store.Hash{l.here}
	}
	return []store.Hash{l.name, l.here}
}

// left says how many more failures the counters allow. It does not know the
// password, so the answer to a locked name says nothing about it.
func (l *lockout) left(ctx context.Context, st *store.Store, now time.Time) (int, error) {
	attempts, err := st.Attempts(ctx, now, l.keys()...)
	if err != nil {
		return 0, err
	}
	most := 0
	l.failures = len(attempts) > 0
	for _, a := range attempts {
		switch {
		case a.Until.After(now):
			return 0, locked()
		case a.Until.IsZero():
			most = max(most, a.Failures)
		}
	}
	if most >= l.source.Failures { // the limit was higher when they were counted
		return 0, locked()
	}
	return l.source.Failures - most, nil
}

func locked() error { return oauth.Fail(oauth.InvalidGrant, oauth.AccountLocked) }

// remember counts a failure. The caller may be gone by then, and a guess whose
// sender hangs up before the answer counts all the same. Where guesses at other
// nodes have locked the name meanwhile, the answer is theirs: it says nothing about
// the password.
func (l *lockout) remember(ctx context.Context, st *store.Store, now time.Time) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rememberFor)
	defer cancel()
	var writes []store.Write
	for _, key := range l.keys() {
		writes = append(writes, store.PutAttempt{
			Key: key, Name: l.name, Most: l.source.Failures, Window: l.source.Lock, Lock: l.source.Lock,
		})
	}
	err := st.Apply(ctx, now, writes...)
	if errors.Is(err, store.ErrConflict) {
		return locked()
	}
	return err
}

// clear is the writes that forget what a success disproves: the counters it was
// under. One from a known address leaves the strangers' counter alone, or every
// sign-in of the owner would give them new tries.
func (l *lockout) clear() []store.Write {
	if !l.failures {
		return nil
	}
	var writes []store.Write
	for _, key := range l.keys() {
		writes = append(writes, store.ClearAttempt{Key: key})
	}
	return writes
}

// digest is a keyed hash: who reads the table learns no name and no address, and
// who knows the program cannot choose names whose counters crowd out another's.
func (a *Accounts) digest(fields ...string) store.Hash {
	mac := hmac.New(sha256.New, a.key)
	for _, field := range fields {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(field)))
		mac.Write(n[:])
		mac.Write([]byte(field))
	}
	return store.Hash(mac.Sum(nil))
}

// address is what one party has for itself: an IPv4 address, or the /64 that an
// IPv6 host picks its addresses from.
func address(from netip.Addr) string {
	from = from.Unmap().WithZone("")
	if !from.Is6() {
		return from.String()
	}
	prefix, err := from.Prefix(64)
	if err != nil {
		return "unknown"
	}
	return prefix.String()
}

// addressKey is what an address is remembered by that an account signed in from.
func (a *Accounts) addressKey(account string, from netip.Addr) store.Hash {
	return a.digest("address", account, address(from))
}

// Network is what one customer of a provider usually has: a /24 or a /56. With
// single addresses every lease would be a stranger, and IPv6 would give one
// machine 2^64 of them.
func Network(from netip.Addr) string {
	bits := 56
	if from = from.Unmap(); from.Is4() {
		bits = 24
	}
	prefix, err := from.Prefix(bits) // drops the zone
	if err != nil || !prefix.IsValid() {
		return "unknown"
	}
	return prefix.String()
}

func (s Source) allows(kind store.IdentifierKind) bool { return slices.Contains(s.Identifiers, kind) }
