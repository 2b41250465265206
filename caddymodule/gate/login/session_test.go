package login

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func newKeys(t testing.TB, of byte) *Keys {
	t.Helper()
	k, err := NewKeys(bytes.Repeat([]byte{of}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// carried is the request of a browser that has kept what an answer set.
func carried(t testing.TB, host string, answers ...*httptest.ResponseRecorder) *http.Request {
	t.Helper()
	kept := map[string]*http.Cookie{}
	for _, a := range answers {
		for _, c := range a.Result().Cookies() {
			kept[c.Name] = c
		}
	}
	r := httptest.NewRequest(http.MethodGet, "https://"+host+"/", nil)
	for _, c := range kept {
		if c.MaxAge >= 0 {
			r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	return r
}

func TestSessionOfAnySizeComesBackOrIsRefused(t *testing.T) {
	t.Parallel()
	k := newKeys(t, 1)
	before := httptest.NewRecorder()
	for _, size := range []int{6000, 0, 900, 2700, 2790, 2800, 2810, 2820, 2830, 2840, 2850, 5600, 8000, 8400, 8500, 9000, 20_000, 900} {
		s := Session{Client: "c", Access: strings.Repeat("a", size), refresh: "r", flow: "f", made: 1, expires: 2}
		r := carried(t, "site.example", before)
		brought := Read(r.Header)
		w := httptest.NewRecorder()
		if ok := setSession(w, &brought, s.seal(k.session, "site.example")); !ok {
			if size < 8400 {
				t.Errorf("%d bytes are too many", size)
			}
			continue
		}
		for _, c := range w.Result().Cookies() {
			if n := len(c.Raw); n > 4096 {
				t.Errorf("%d bytes make a cookie of %d", size, n)
			}
		}
		after := httptest.NewRecorder()
		r = carried(t, "site.example", before, w)
		brought = Read(r.Header)
		if got, ok := k.Session(r, &brought); !ok || got != s {
			t.Errorf("%d bytes: %v", size, ok)
		}
		clearSession(after, &brought)
		if r = carried(t, "site.example", before, w, after); r.Header.Get("Cookie") != "" {
			t.Errorf("%d bytes: %s is left", size, r.Header)
		}
		before = w
	}
}

func TestSessionOpensForItsHostAndItsKeyAlone(t *testing.T) {
	t.Parallel()
	k, s := newKeys(t, 1), Session{Client: "c", Access: "a", made: 1, expires: 2}
	w := httptest.NewRecorder()
	setSession(w, new(Brought), s.seal(k.session, "site.example"))
	for host, want := range map[string]bool{
		"site.example": true, "SITE.example": true, "site.example:8443": true, "site.example.": true,
		"a.site.example": false, "site.example.net": false, "": false, "[::1]:443": false,
	} {
		r := carried(t, "x", w)
		r.Host = host
		brought := Read(r.Header)
		if _, ok := k.Session(r, &brought); ok != want {
			t.Errorf("%s: %v", host, ok)
		}
		if _, ok := newKeys(t, 2).Session(r, &brought); ok {
			t.Errorf("%s: by another key", host)
		}
	}
	// A state is no session.
	sealed := (&state{id: "i"}).seal(k, "site.example")
	r := httptest.NewRequest(http.MethodGet, "https://site.example/", nil)
	if _, ok := k.Session(r, &Brought{chunks: [maxChunks]string{"1" + sealed}}); ok {
		t.Error("a state passes for a session")
	}
}

// While nodes are replaced, what a newer program has sealed comes to an older one.
func TestWhatALaterVersionAddsIsSkipped(t *testing.T) {
	t.Parallel()
	k := newKeys(t, 1)
	times := make([]byte, 24)
	times[15] = 7
	r := httptest.NewRequest(http.MethodGet, "https://site.example/", nil)
	sealed := seal(k.session, "site.example", pack(times, "client", "access", "refresh", "flow", "more", "and more"))
	want := Session{Client: "client", Access: "access", refresh: "refresh", flow: "flow", expires: 7}
	if s, ok := k.Session(r, &Brought{chunks: [maxChunks]string{"1" + sealed}}); !ok || s != want {
		t.Errorf("a session: %v", ok)
	}
	sealed = seal(k.state, "site.example", pack(nil, "id", "verifier", "browser", "/", "client", "1", "2", "3", "more"))
	if s, err := k.openState(r, sealed); err != nil || s != (state{"id", "verifier", "browser", "/", "client", 1, 2, 3}) {
		t.Errorf("a state: %v", err)
	}
}

func TestTokenIsRenewedShortlyBeforeItsEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		life, at int64
		due      bool
	}{{300, 279, false}, {300, 280, true}, {300, 400, true}, {8, 5, false}, {8, 6, true}, {1, 0, false}, {1, 1, true}} {
		s := Session{made: 1000, expires: 1000 + c.life}
		if got := s.Due(time.Unix(1000+c.at, 0)); got != c.due {
			t.Errorf("of %d seconds after %d: %v", c.life, c.at, got)
		}
	}
}

func FuzzPackedTextsComeBack(f *testing.F) {
	f.Add("a", "", []byte{1})
	f.Fuzz(func(t *testing.T, a, b string, raw []byte) {
		var x, y string
		if err := unpack(pack(nil, a, b), &x, &y); err != nil || x != a || y != b {
			t.Errorf("%q %q: %q %q %v", a, b, x, y, err)
		}
		if unpack(raw, &x, &y) == nil && len(pack(nil, x, y)) > len(raw) {
			t.Errorf("%x holds more than there is", raw)
		}
	})
}

func BenchmarkSession(b *testing.B) {
	k := newKeys(b, 1)
	s := Session{Client: "https://auth.example.com site", Access: strings.Repeat("a", 800), refresh: strings.Repeat("r", 128), flow: strings.Repeat("f", 22), made: 1, expires: 2}
	w := httptest.NewRecorder()
	setSession(w, new(Brought), s.seal(k.session, "app.example.com"))
	r := carried(b, "app.example.com", w)
	b.ReportAllocs()
	for b.Loop() {
		brought := Read(r.Header)
		if _, ok := k.Session(r, &brought); !ok {
			b.Fatal("not opened")
		}
	}
}
