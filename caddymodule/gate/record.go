package gate

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// entry is a verified reading of one token, as one request has it.
type entry struct {
	claims *token.Claims
	key    *token.Public // that verified it, under the issuer that the claims name; nil for an opaque token
	told   *told         // of a foreign issuer's opaque token: who said what it stands for
	*record
	pass *Pass // room for it, where the entry is of one request alone
}

// told is a foreign issuer's word on an opaque token, which counts for a while.
type told struct {
	by    Introspector
	until time.Time
}

func newEntry(digest token.Digest, claims *token.Claims, key *token.Public, told *told) *entry {
	return &entry{claims: claims, key: key, told: told, record: &record{digest: digest}}
}

// record is what is remembered of a token. Of a JWT it is what the next request
// cannot bring along: all else stands in the token again.
type record struct {
	digest token.Digest

	kind                         *kind
	names                        string // subject and jti
	subject                      int    // the length of the first
	issuedAt, notBefore, expires int64
	whole                        *entry // instead of all that, where the token does not tell
	charged                      bool   // its cost includes all claims, so they may be remembered

	notRevoked atomic.Pointer[answer]
	memo       atomic.Pointer[memo]
}

// memo is what some gates remember of a token beyond that.
type memo struct {
	all      atomic.Pointer[map[string]any]
	rendered atomic.Pointer[rendering]
	judged   atomic.Pointer[judgement]

	vouching sync.Mutex
	vouchers atomic.Pointer[[]vouched]
}

// What a token takes in memory, with the cache's own share: measured 390 bytes with
// names of 36 letters.
const (
	recordCost = 352 // and its names, or all of its claims
	memoCost   = 1 << 8
)

// needs is what a gate wants to remember of each token beyond the usual.
type needs struct {
	claims bool  // all of them
	bytes  int64 // so many,
	copies int64 // and so many times the token's length
}

func (n needs) and(more needs) needs {
	return needs{n.claims || more.claims, n.bytes + more.bytes, n.copies + more.copies}
}

// keep makes the record complete, before others see it, and says what it costs.
func (e *entry) keep(all *kinds, length int, n needs) int64 {
	c, cost := e.claims, recordCost+n.bytes+n.copies*int64(length)
	if e.told == nil && e.key != nil && isClean(c.Subject) {
		e.record.kind = all.of(c, *e.key)
	}
	if e.record.kind == nil {
		e.whole = e
		return cost + c.Size() + int64(length)
	}
	// With an empty one + would hand out the other, a part of all that the token says.
	e.names, e.subject = strings.Join([]string{c.Subject, c.ID}, ""), len(c.Subject)
	e.issuedAt, e.notBefore, e.expires = c.IssuedAt, c.NotBefore, c.Expires
	if e.charged = n.claims; e.charged {
		cost += c.Size() + int64(length) // whose texts are parts of the token's
	}
	return cost + int64(len(e.names))
}

// isClean says that texts may go into headers as they are.
func isClean(texts ...string) bool {
	for _, text := range texts {
		if !token.IsPresentable(text) {
			return false
		}
	}
	return true
}

// entry reads a record beside the token that it is of.
func (r *record) entry(raw string) *entry {
	if r.whole != nil {
		return r.whole
	}
	var v struct {
		entry  entry
		claims token.Claims
		pass   Pass // of the one request this is for: one allocation for all of it
	}
	own := token.Own{Subject: r.names[:r.subject], ID: r.names[r.subject:], IssuedAt: r.issuedAt, NotBefore: r.notBefore, Expires: r.expires}
	r.kind.common.Fill(&v.claims, own, raw)
	if m := r.memo.Load(); m != nil {
		if all := m.all.Load(); all != nil {
			v.claims.All = *all
		}
	}
	v.entry = entry{claims: &v.claims, key: &r.kind.key, record: r, pass: &v.pass}
	return &v.entry
}

// more is where gates remember more.
func (r *record) more() *memo {
	if m := r.memo.Load(); m != nil {
		return m
	}
	r.memo.CompareAndSwap(nil, new(memo))
	return r.memo.Load()
}

// rememberClaims spares the next request the reading of all claims. A record that
// another gate made without them gives way to one that costs what it takes.
func (g *Gate) rememberClaims(e *entry, length int, now time.Time) {
	if e.record.kind == nil || e.claims.All == nil {
		return
	}
	if !e.charged {
		e.record = &record{digest: e.digest}
		g.cache.put(e, length, g.needs, now)
		if e.record.kind == nil {
			return
		}
	}
	if m := e.more(); m.all.Load() == nil {
		all := e.claims.All
		m.all.Store(&all)
	}
}

// kind is what many tokens have in common, kept once for all of them.
type kind struct {
	common token.Common
	key    token.Public
}

// kinds holds the kinds of the tokens that are remembered, and none longer.
type kinds struct {
	mu  sync.Mutex
	all map[string]weak.Pointer[kind]
}

// What many have in common is short, and there are few kinds: a client with twenty
// scopes can ask for a million sets of them, each a kind of its own.
const (
	longestKind = 512 // bytes
	mostKinds   = 4096
)

// of finds the kind of a token; nil where the token is better kept whole: what it
// has in common with others is long, or may not go into headers as it is.
func (k *kinds) of(c *token.Claims, key token.Public) *kind {
	var room [longestKind]byte
	name := append(append(c.AppendKind(room[:0]), ' '), key.Algorithm...)
	name = append(append(name, ' '), key.ID...)
	if len(name) > longestKind {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	found := k.all[string(name)].Value()
	switch {
	case found != nil && found.key.Same(key):
		return found
	case found != nil: // two keys have one id
		return nil
	case len(k.all) >= mostKinds:
		return nil
	}
	made := &kind{c.Common(), key}
	if !isClean(made.common.Texts()...) {
		return nil
	}
	if k.all == nil {
		k.all = map[string]weak.Pointer[kind]{}
	}
	kept := string(name)
	k.all[kept] = weak.Make(made)
	runtime.AddCleanup(made, k.drop, kept)
	return made
}

// drop forgets a kind that no token has any more.
func (k *kinds) drop(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p, there := k.all[name]; there && p.Value() == nil {
		delete(k.all, name)
	}
}

// answer is "not revoked", said by one list at one generation of it.
type answer struct {
	by         Revoked
	generation uint64
}

// isRevoked asks only when something was revoked since the token was last asked
// about. The generations of two lists have nothing to do with each other, so an
// answer counts for its own list alone.
func (i *issuer) isRevoked(e *entry) bool {
	// Read before the question: what arrives in between is asked about next time.
	generation := i.revoked.Generation()
	if a := e.notRevoked.Load(); a != nil && a.by == i.revoked && a.generation == generation {
		return false
	}
	if i.revoked.Revoked(e.claims) {
		return true
	}
	a := i.answered.Load() // one for all tokens
	if a == nil || a.generation != generation {
		a = &answer{i.revoked, generation}
		i.answered.Store(a)
	}
	e.notRevoked.Store(a)
	return false
}

// rendering is the header values of one header set.
type rendering struct {
	of     *headerSet
	values []string
}

// values are the values of a header set, for one request to keep; own is room for
// those of the default set.
func (e *entry) values(set *headerSet, own *[4]string) []string {
	if set == defaultSet && e.record.kind != nil {
		*own = [...]string{e.claims.Subject, e.claims.ClientID, e.record.kind.common.Scope(), e.claims.Issuer}
		return own[:]
	}
	m := e.more()
	r := m.rendered.Load()
	if r == nil || r.of != set {
		r = &rendering{set, set.render(e.claims)}
		m.rendered.Store(r)
	}
	// Handlers behind may change a header's values in place.
	return slices.Clone(r.values)
}
