package gate

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

const known = 2_000 // good tokens that are in use meanwhile

// flooded is a gate with good tokens in its cache.
type flooded struct {
	*testing.T
	gate *Gate
	key  *token.Key
	now  time.Time
	good []token.Digest
}

// revokedByName is a list on which every token is whose id says so.
type revokedByName struct{ _ byte }

func (*revokedByName) Revoked(c *token.Claims) bool { return strings.HasPrefix(c.ID, "revoked-") }
func (*revokedByName) Generation() uint64           { return 1 }
func (*revokedByName) Current() bool                { return true }
func (*revokedByName) KnowsKeys() bool              { return true }

// nobody has issued an opaque token.
type nobody struct{}

func (nobody) Opaque(context.Context, token.Digest) (*token.Claims, error) {
	return nil, token.ErrUnknown
}

func newFlooded(t *testing.T) *flooded {
	t.Helper()
	key, err := token.Generate(token.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := NewCache(16 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	f := &flooded{T: t, key: key, now: time.Unix(1_800_000_000, 0)}
	f.gate, err = New(Config{Opaque: nobody{}, Issuers: []Issuer{
		{Identifier: "https://auth.example.com", Keys: token.NewRing([]*token.Key{key}), Embedded: true, Revoked: new(revokedByName)},
	}}, cache)
	if err != nil {
		t.Fatal(err)
	}
	for i := range known {
		raw := f.sign(fmt.Sprintf("good-%d", i), f.now.Add(time.Hour))
		for try := 0; ; try++ {
			if err := f.check(raw); err != nil {
				t.Fatal(err)
			}
			cache.Wait()
			if cache.known(token.Sum(raw)) {
				break
			}
			if try > 10 {
				t.Fatal("a good token is not remembered, with nothing else to do")
			}
		}
		f.good = append(f.good, token.Sum(raw))
	}
	return f
}

func (f *flooded) sign(id string, expires time.Time) string {
	f.Helper()
	a := token.Access{
		Issuer: "https://auth.example.com", Subject: "alice", Audience: "shop", ID: id, Scopes: []string{"orders:read"},
		IssuedAt: f.now.Add(-2 * time.Hour), Expires: expires,
	}
	payload, err := a.Payload()
	if err != nil {
		f.Fatal(err)
	}
	raw, err := f.key.Sign(token.TypeJWT, payload)
	if err != nil {
		f.Fatal(err)
	}
	return raw
}

func (f *flooded) check(raw string) error {
	r := httptest.NewRequest(http.MethodGet, "https://app.example.com/", nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	_, err := f.gate.Check(r, f.now)
	return err
}

// flood is bad tokens of one kind, each another one.
type flood struct {
	name   string
	n      int
	reason oauth.Reason
	make   func(i int) string
}

func (f *flooded) floods() []flood {
	head, rest, _ := strings.Cut(f.sign("good", f.now.Add(time.Hour)), ".")
	payload, _, _ := strings.Cut(rest, ".")
	unknown := base64.RawURLEncoding.EncodeToString([]byte(`{"kid":"no such key","typ":"JWT","alg":"EdDSA"}`))
	signature := func() string {
		var s [64]byte
		_, _ = rand.Read(s[:])
		return base64.RawURLEncoding.EncodeToString(s[:])
	}
	return []flood{
		{"a bad signature by the right key", bad, WrongSignature, func(int) string { return head + "." + payload + "." + signature() }},
		{"an unknown key", bad, UnknownKey, func(int) string { return unknown + "." + payload + "." + signature() }},
		{"opaque", bad, UnknownToken, func(int) string { return uuid.NewString() }},
		{"nonsense", bad, MalformedToken, func(i int) string { return fmt.Sprintf("%s.%d", strings.Repeat("A", 400), i) }},
		{"too long", badSigned, TokenTooLarge, func(i int) string { return fmt.Sprintf("%s.%d", strings.Repeat("A", 9000), i) }},
		{"expired, and well signed", badSigned, ExpiredToken, func(i int) string { return f.sign(fmt.Sprint("old-", i), f.now.Add(-time.Second)) }},
		{"revoked, and well signed", badSigned, oauth.RevokedToken, func(i int) string { return f.sign(fmt.Sprint("revoked-", i), f.now.Add(time.Hour)) }},
	}
}

// J01: whatever kind of bad tokens a stranger sends, and however many, every good
// one that was known still is, and nothing of theirs stays in memory.
func TestNoFloodOfBadTokensPushesOutAGoodOne(t *testing.T) {
	f := newFlooded(t)
	for _, flood := range f.floods() {
		t.Run(flood.name, func(t *testing.T) {
			before := heap()
			for i := range flood.n {
				err := f.check(flood.make(i))
				if r, ok := errors.AsType[*Refusal](err); !ok || r.Reason != flood.reason {
					t.Fatalf("%v; want %s", err, flood.reason)
				}
			}
			f.gate.cache.Wait()
			if grown := heap() - before; grown > 128<<10 {
				t.Errorf("%d tokens left %d bytes behind", flood.n, grown)
			}
			lost := 0
			for _, digest := range f.good {
				if !f.gate.cache.known(digest) {
					lost++
				}
			}
			if lost > 0 {
				t.Errorf("%d of %d good tokens are forgotten", lost, len(f.good))
			}
		})
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first has moved to the pools' victims
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A token that is too long costs no more than one that was never sent: it is not
// decoded, not parsed and not even hashed.
func TestTooLongATokenCostsNoParse(t *testing.T) {
	f := newFlooded(t)
	cost := func(raw string) (count float64, bytes uint64) {
		r := httptest.NewRequest(http.MethodGet, "https://app.example.com/", nil)
		r.Header.Set("Authorization", "Bearer "+raw)
		check := func() { _, _ = f.gate.Check(r, f.now) }
		count = testing.AllocsPerRun(100, check)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 1000 {
			check()
		}
		runtime.ReadMemStats(&after)
		return count, (after.TotalAlloc - before.TotalAlloc) / 1000
	}
	least, leastBytes := cost("!") // no token at all
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"kid":"` + f.key.ID + `","typ":"JWT","alg":"EdDSA"}`))
	for name, raw := range map[string]string{
		"letters": strings.Repeat("A", 16<<10), "dots": strings.Repeat(".", 16<<10),
		"three parts": header + "." + strings.Repeat("A", 16<<10) + "." + strings.Repeat("A", 86),
		"one over":    strings.Repeat("A", token.MaxSize+1),
	} {
		if count, bytes := cost(raw); count > least || bytes > leastBytes+64 {
			t.Errorf("%s: %v allocations of %d bytes, and %v of %d where there is no token", name, count, bytes, least, leastBytes)
		}
	}
	if count, bytes := cost(header + "." + strings.Repeat("A", 4<<10) + "." + strings.Repeat("A", 86)); count <= least || bytes < 4<<10 {
		t.Errorf("a parse is not seen: %v allocations of %d bytes", count, bytes)
	}
}
