package account

import (
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func TestIdentifiersHaveOneSpelling(t *testing.T) {
	for _, c := range []struct {
		kind      store.IdentifierKind
		raw, want string
	}{
		{store.ByUsername, "Alice", "alice"},
		{store.ByUsername, "ＡＬＩＣＥ", "alice"},
		{store.ByUsername, "ZOE\u0308", "zo\u00eb"},
		{store.ByUsername, "张三", "张三"},
		{store.ByUsername, "o'brien*", "o'brien*"},
		{store.ByEmail, "Alice.B+x@Example.COM", "alice.b+x@example.com"},
		{store.ByEmail, "alice@Bücher.example", "alice@xn--bcher-kva.example"},
		{store.ByEmail, "alice@localhost", "alice@localhost"},
		{store.ByPhone, "13800138000", "+8613800138000"},
		{store.ByPhone, "+86 138-0013-8000", "+8613800138000"},
		{store.ByPhone, "008613800138000", "+8613800138000"},
		{store.ByPhone, "+442079460018", "+442079460018"},
	} {
		got, ok := Normalise(c.kind, c.raw, "CN")
		if !ok || got != c.want {
			t.Errorf("%s %q: %q %v", c.kind, c.raw, got, ok)
		}
	}
	if got, ok := Normalise(store.ByPhone, "020 7946 0018", "GB"); !ok || got != "+442079460018" {
		t.Errorf("read as British: %q %v", got, ok)
	}
}

func TestWhatIsNoIdentifier(t *testing.T) {
	for kind, raws := range map[store.IdentifierKind][]string{
		store.ByUsername: {"", " ", "a b", "alice ", "a\x00b", "a\tb", "a\u200bb", "\u202ealice", "a@b", "12345", "+", "１２３４５", "a\xff", strings.Repeat("a", 256)},
		store.ByEmail: {
			"", "@", "a@", "@b", "alice", "a@b@c", "a@evil.com@corp.com", `"a@corp.com"@evil.com`, `"a b"@corp.com`, `"a"@corp.com`, "a@corp.com.", "a@.corp.com",
			"a@corp..com", "A <a@corp.com>", "<a@corp.com>", "a@corp.com (comment)", " a@corp.com", "a@corp.com\n", "a@[127.0.0.1]", "a b@corp.com",
			"a@corp.com,b@corp.com", "a@corp_x.com", "a@xn--a", strings.Repeat("a", 300) + "@corp.com", "a@" + strings.Repeat("a.", 200) + "com",
		},
		store.ByPhone:              {"", "+", "1", "+1", "110", "+99912345678901234567", "138001380001234", "13800138000x9", "1-800-FLOWERS", "13800138000;ext=1", "00000000000", "13800+138000"},
		store.IdentifierKind("id"): {"alice"},
	} {
		for _, raw := range raws {
			if got, ok := Normalise(kind, raw, "CN"); ok {
				t.Errorf("%s %q became %q", kind, raw, got)
			}
		}
	}
}

func TestKindOfName(t *testing.T) {
	for name, want := range map[string]store.IdentifierKind{
		"alice": store.ByUsername, "": store.ByUsername, "a1": store.ByUsername, "1-2": store.ByUsername,
		"@": store.ByEmail, "13@b": store.ByEmail,
		"+8613800138000": store.ByPhone, "13800138000": store.ByPhone, "+": store.ByPhone,
	} {
		if got := KindOf(name); got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"Alice", "a@Bücher.example", "13800138000", "ﬁ", "ẞ@ẞ.de", "a@xn--zca.de", "İ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		kind := KindOf(raw)
		once, ok := Normalise(kind, raw, "CN")
		if !ok {
			return
		}
		// The normal form is its own, and is still read as the same kind: what is
		// stored can be signed in with.
		twice, ok := Normalise(kind, once, "CN")
		if !ok || twice != once || KindOf(once) != kind {
			t.Fatalf("%s %q: %q, then %q %v", kind, raw, once, twice, ok)
		}
		for _, r := range once {
			if r < ' ' || r == 0x7f {
				t.Fatalf("control character in %q", once)
			}
		}
	})
}
