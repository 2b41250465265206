package tokenissuer

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// TestNoticeIsSentAgainUntilItArrives walks through the hours of a client that
// is down, without waiting for them.
func TestNoticeIsSentAgainUntilItArrives(t *testing.T) {
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries < 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "issuer.db"))
	if err != nil {
		t.Fatal(err)
	}
	failures := 0
	s, err := OpenState(t.Context(), st, Config{}.KeyRules(""), func(error) { failures++ })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now().Add(time.Hour) // the background of s sees nothing due yet
	put := store.PutDelivery{Delivery: store.Delivery{ID: "one", Client: "shop", URI: server.URL, Body: `{"iss":"i","sub":"s","aud":"shop","sid":"x"}`, Next: now, Expires: now.Add(deliverFor)}}
	if err := st.Apply(t.Context(), now, put); err != nil {
		t.Fatal(err)
	}
	sender := &http.Client{Timeout: time.Second}
	for step, after := range []time.Duration{0, 4 * time.Second, 5 * time.Second, 24 * time.Second, 25 * time.Second, 106 * time.Second, 10 * time.Hour} {
		if err := s.deliverDue(t.Context(), sender, now.Add(after)); err != nil {
			t.Fatal(err)
		}
		if want := []int{1, 1, 2, 2, 3, 4, 4}[step]; tries != want {
			t.Errorf("after %v: %d tries, want %d", after, tries, want)
		}
	}
	if failures != 3 {
		t.Errorf("%d failures reported", failures)
	}
}
