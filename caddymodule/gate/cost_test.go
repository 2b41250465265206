package gate

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// What strangers and clients can make of a token's content must not take more
// memory than it is charged with.
func TestCacheTakesWhatItIsChargedWith(t *testing.T) {
	key := newKey(t)
	for name, c := range map[string]struct {
		payload func(n int) string
		needs   needs
	}{
		"scopes of its own": {func(n int) string {
			var scopes []string
			for i := range 300 {
				scopes = append(scopes, fmt.Sprintf(`"%d.%d"`, n, i))
			}
			return fmt.Sprintf(usual, `"shop"`, "["+strings.Join(scopes, ",")+"]", "")
		}, needs{}},
		"many short kinds": {func(n int) string { return fmt.Sprintf(usual, `"shop"`, fmt.Sprintf(`"s%d"`, n), "") }, needs{}},
		"numbers": {func(n int) string {
			return fmt.Sprintf(usual, `"shop"`, `"a"`, fmt.Sprintf(`,"n":[%d%s]`, n, strings.Repeat(",1", 900)))
		}, needs{claims: true}},
		"no id, and much besides": {func(n int) string {
			return fmt.Sprintf(`{"iss":"https://a","sub":"j-1%d","aud":"shop","scope":"a","exp":1800000600,"groups":"%s"}`, n, strings.Repeat("g", 4000))
		}, needs{}},
		"objects, not asked of": {func(n int) string {
			return fmt.Sprintf(usual, `"shop"`, `"a"`, fmt.Sprintf(`,"n":[%d%s]`, n, strings.Repeat(`,{"a":1}`, 300)))
		}, needs{}},
	} {
		t.Run(name, func(t *testing.T) {
			const size = 4 << 20
			cache, err := NewCache(size)
			if err != nil {
				t.Fatal(err)
			}
			defer cache.Close()
			g := &Gate{cache: cache, needs: c.needs}
			before := heap()
			for n := range 6000 {
				raw, claims, public := signed(t, key, strings.Replace(c.payload(n), "j-1", fmt.Sprint("j-", n), 1))
				e := newEntry(token.Sum(raw), claims, &public, nil)
				cache.put(e, len(raw), c.needs, second)
				if c.needs.claims {
					g.rememberClaims(e, len(raw), second)
				}
				if n%64 == 0 {
					cache.Wait()
				}
			}
			cache.Wait()
			if grown := heap() - before; grown > 2*size+2*mostKinds*longestKind {
				t.Errorf("%d KiB of a cache of %d", grown>>10, size>>10)
			}
			runtime.KeepAlive(cache)
		})
	}
}
