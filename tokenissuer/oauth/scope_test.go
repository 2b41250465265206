package oauth

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestScopesKeepTheirOrderAndCountOnce(t *testing.T) {
	scopes, err := ParseScopes("orders:read openid orders:read")
	if err != nil || !reflect.DeepEqual(scopes, Scopes{"orders:read", "openid"}) || scopes.String() != "orders:read openid" {
		t.Fatalf("%q, %v", scopes, err)
	}
	if omitted, err := ParseScopes(""); err != nil || omitted != nil {
		t.Fatalf("%q, %v", omitted, err)
	}
}

func TestScopeGrammarIsStrict(t *testing.T) {
	var many strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, "s%d ", i)
	}
	for _, s := range []string{" ", " a", "a ", "a  b", "a\tb", "a\nb", `a"b`, `a\b`, "é", "a\x7f", "a\x00", strings.TrimSpace(many.String())} {
		scopes, err := ParseScopes(s)
		if e := AsError(err); err == nil || e.Code != InvalidScope || scopes != nil {
			t.Errorf("%.20q: %q, %v", s, scopes, err)
		}
	}
}

func TestSubset(t *testing.T) {
	all := Scopes{"a", "b"}
	for _, c := range []struct {
		s    Scopes
		want bool
	}{{nil, true}, {Scopes{"b"}, true}, {Scopes{"b", "a"}, true}, {Scopes{"b", "c"}, false}, {Scopes{"A"}, false}} {
		if c.s.Subset(all) != c.want {
			t.Errorf("%q", c.s)
		}
	}
}

func FuzzScopes(f *testing.F) {
	f.Add("a b a")
	f.Add("a  b")
	f.Fuzz(func(t *testing.T, s string) {
		scopes, err := ParseScopes(s)
		if err != nil {
			return
		}
		again, err := ParseScopes(scopes.String())
		if err != nil || !reflect.DeepEqual(again, scopes) {
			t.Fatalf("%q became %q, %v", scopes, again, err)
		}
		for token := range strings.SplitSeq(s, " ") {
			if s != "" && !scopes.Has(token) {
				t.Fatalf("%q lost %q", s, token)
			}
		}
	})
}
