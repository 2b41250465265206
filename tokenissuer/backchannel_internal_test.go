package tokenissuer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// patience is for a machine that does other things, too.
const patience = time.Minute

// patient is a sender that gives nobody up before a test does.
func patient() *http.Client { return &http.Client{Timeout: 2 * patience} }

// openState opens the state of a new store; Close is the test's end.
func openState(t *testing.T, report func(error)) *State {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "issuer.db"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenState(t.Context(), st, Config{}.KeyRules(""), report)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// owe stores notices of these sessions for a client.
func (s *State) owe(t *testing.T, now time.Time, client, uri string, sessions ...string) {
	t.Helper()
	for _, sid := range sessions {
		put := store.PutDelivery{Delivery: store.Delivery{
			ID: client + sid, Client: client, URI: uri, Body: `{"iss":"i","sub":"s","aud":"` + client + `","sid":"` + sid + `"}`, Next: now, Expires: now.Add(deliverFor),
		}}
		if err := s.store.Apply(t.Context(), now, put); err != nil {
			t.Fatal(err)
		}
	}
}

// tellAll has everybody's turn once, as a look does.
func (s *State) tellAll(t *testing.T, sender *http.Client, now time.Time) {
	t.Helper()
	due, err := s.store.DueClients(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range newCourier(0).next(due, now) {
		_ = s.tell(t.Context(), sender, e, now) // failures are counted
	}
}

// waits has the background wait for what these clients answer.
func (s *State) waits(clients ...string) {
	own := senders{}
	for _, client := range clients {
		own[client] = patient()
	}
	s.senders.Store(&own)
}

// sessionOf reads the sid of a logout token.
func sessionOf(r *http.Request) string {
	var claims struct{ SID string }
	if parts := strings.Split(r.PostFormValue("logout_token"), "."); len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims)
	}
	return claims.SID
}

// TestNoticeIsSentAgainUntilItArrives walks through the hours of a client that
// is down, without waiting for them.
func TestNoticeIsSentAgainUntilItArrives(t *testing.T) {
	var tries, failures atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) < 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	s := openState(t, func(error) { failures.Add(1) })
	began := time.Now()
	now := began.Add(time.Hour) // the background of s sees nothing due yet
	s.owe(t, now, "shop", server.URL, "one")
	var want int32
	for _, step := range []struct {
		after time.Duration
		due   bool
	}{{0, true}, {4 * time.Second, false}, {5 * time.Second, true}, {24 * time.Second, false}, {25 * time.Second, true}, {105 * time.Second, true}, {10 * time.Hour, false}} {
		at := now.Add(step.after)
		if step.due { // and what a try has taken comes on top of its pause
			at = at.Add(time.Since(began))
			want++
		}
		s.tellAll(t, patient(), at)
		if got := tries.Load(); got != want {
			t.Errorf("after %v: %d tries, want %d", step.after, got, want)
		}
	}
	if got := failures.Load(); got != 3 {
		t.Errorf("%d failures reported", got)
	}
}

// TestClientThatHangsDelaysItsOwnNoticesAlone: and each client gets its notices
// one at a time, in order.
func TestClientThatHangsDelaysItsOwnNoticesAlone(t *testing.T) {
	answer, hanging, quick := make(chan struct{}), make(chan string, 9), make(chan string, 9)
	var inside atomic.Int32
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if inside.Add(1) > 1 {
			t.Error("two notices at once for one client")
		}
		hanging <- sessionOf(r)
		<-answer
		inside.Add(-1)
	}))
	t.Cleanup(hangs.Close)
	healthy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { quick <- sessionOf(r) }))
	t.Cleanup(healthy.Close)
	over := sync.OnceFunc(func() { close(answer) })
	t.Cleanup(over)
	s := openState(t, func(err error) { t.Error(err) })
	s.waits("hangs", "quick")
	now := time.Now()
	s.owe(t, now, "hangs", hangs.URL, "a", "b", "c")
	s.owe(t, now, "quick", healthy.URL, "d", "e", "f")
	s.wake()
	next := func(from chan string, want string) {
		t.Helper()
		select {
		case got := <-from:
			if got != want {
				t.Errorf("told of session %s, want %s", got, want)
			}
		case <-time.After(patience): // less than the client that hangs is given
			t.Fatalf("not told of session %s", want)
		}
	}
	next(hanging, "a")
	for _, sid := range []string{"d", "e", "f"} {
		next(quick, sid)
	}
	s.owe(t, now, "quick", healthy.URL, "g")
	s.wake()
	next(quick, "g")
	over()
	next(hanging, "b")
	next(hanging, "c")
}

// TestEndOfTheServerCutsNoticesOff: it does not wait for a client, reports no
// failure, and has the notice again after the next start.
func TestEndOfTheServerCutsNoticesOff(t *testing.T) {
	called, gone := make(chan struct{}, 1), make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // or the end of the connection is not seen
		called <- struct{}{}
		<-r.Context().Done()
		close(gone)
	}))
	defer hangs.Close()
	path := filepath.Join(t.TempDir(), "issuer.db")
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenState(t.Context(), st, Config{}.KeyRules(""), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	s.waits("hangs")
	now := time.Now()
	s.owe(t, now, "hangs", hangs.URL, "a")
	s.wake()
	<-called
	ends := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-gone
	if took := time.Since(ends); took >= patience { // half of what the client is given
		t.Errorf("the end took %v", took)
	}
	st, err = sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if due, err := st.DueDeliveries(t.Context(), now.Add(time.Hour), "hangs", 9); err != nil || len(due) != 1 {
		t.Errorf("%d due, %v", len(due), err)
	}
}

func TestFailedNoticeNamesClientAndHostAlone(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer refuses.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	s := openState(t, func(error) {})
	now := time.Now().Add(time.Hour)
	for name, server := range map[string]*httptest.Server{"shop": refuses, "spa": closed} {
		d := store.Delivery{ID: "x", Client: name, URI: server.URL + "/bye/p4th?key=s3cret", Body: `{}`, Next: now, Expires: now.Add(deliverFor)}
		if err := s.store.Apply(t.Context(), now, store.PutDelivery{Delivery: d}); err != nil {
			t.Fatal(err)
		}
		err := s.hand(t.Context(), patient(), d, now)
		if err == nil || !strings.Contains(err.Error(), "telling client "+name) || !strings.Contains(err.Error(), server.Listener.Addr().String()) {
			t.Errorf("%v", err)
		} else if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "p4th") {
			t.Errorf("more than the host: %v", err)
		}
		if err := s.store.Apply(t.Context(), now, store.RemoveDelivery{ID: "x"}); err != nil {
			t.Fatal(err)
		}
	}
}

// turns are the clients whose turn it is then, each with one letter.
func (c *courier) turns(due []store.DueClient, at time.Time) (clients string) {
	for _, e := range c.next(due, at) {
		clients += e.client
	}
	return clients
}

// dueLetters are clients with so many failures.
func dueLetters(clients string, failures int) (due []store.DueClient) {
	for _, client := range clients {
		due = append(due, store.DueClient{Client: string(client), Failures: failures})
	}
	return due
}

var errTook = silence{errors.New("answered 503")}

// TestTurnsAreShared is the courier's choice alone: at most so many clients at
// once, none twice, and who has just failed after those that wait.
func TestTurnsAreShared(t *testing.T) {
	due := dueLetters("abcdefghij", 0)
	c, now := newCourier(0), time.Now()
	for _, step := range []struct {
		back   string
		failed bool
		after  time.Duration
		want   string
	}{
		{"", false, 0, "abcdefgh"},
		{"", false, 0, ""},
		{"a", true, 0, "i"},
		{"b", false, 0, "b"}, // it arrived, and it has more
		{"c", true, 0, "j"},
		{"d", true, 4 * time.Second, ""},
		{"", false, 5 * time.Second, "a"},
	} {
		if step.back != "" {
			e := errand{client: step.back}
			if step.failed {
				e.err = errTook
			}
			c.returned(e, now)
		}
		if got := c.turns(due, now.Add(step.after)); got != step.want {
			t.Errorf("%+v: %q", step, got)
		}
	}
}

// TestSilentClientsLeaveRoom for those that take what they are told, however many there are.
func TestSilentClientsLeaveRoom(t *testing.T) {
	c, now := newCourier(0), time.Now()
	if got := c.turns(dueLetters("abcdefgh", 3), now); got != "abcd" {
		t.Errorf("silent clients alone: %q", got)
	}
	if got := c.turns(append(dueLetters("vwxyz", 0), dueLetters("efgh", 1)...), now); got != "vwxy" {
		t.Errorf("beside those that are well: %q", got)
	}
	c.returned(errand{client: "a", failures: 3, err: errTook}, now)
	if got := c.turns(dueLetters("aefgh", 3), now); got != "e" {
		t.Errorf("when one of them has failed again: %q", got)
	}
}

// TestWhoFailedHereIsLeftToOtherNodes for a look of theirs: it may be this machine that
// reaches nobody. A failure of the store is none of the client's.
func TestWhoFailedHereIsLeftToOtherNodes(t *testing.T) {
	c, now := newCourier(deliverEvery), time.Now()
	fails := func(err error, rests time.Duration) {
		t.Helper()
		now = now.Add(rests)
		if rests > 0 && c.turns(dueLetters("a", 0), now.Add(-time.Millisecond)) != "" {
			t.Errorf("it has a turn in less than %s after the failure", rests)
		}
		if got := c.turns(dueLetters("a", 0), now); got != "a" {
			t.Errorf("%s after the failure: %q", rests, got)
		}
		c.returned(errand{client: "a", err: err}, now)
	}
	fails(errTook, 0)
	fails(errTook, 10*time.Second)
	fails(store.ErrUnavailable, 25*time.Second)
	fails(errTook, 5*time.Second)
	fails(nil, 65*time.Second)
	fails(errTook, 0)
	fails(nil, 10*time.Second)
}

// TestNodeWithOldKeysLeavesNoticesToOthers: it could not sign them.
func TestNodeWithOldKeysLeavesNoticesToOthers(t *testing.T) {
	s := openState(t, func(err error) { t.Error(err) })
	now := time.Now().Add(time.Hour)
	s.owe(t, now, "shop", "https://shop.example.com/", "a")
	for behind, want := range map[time.Duration]int{0: 1, signMost: 1, signMost + time.Second: 0} {
		if due, err := s.dueClients(t.Context(), now, behind); err != nil || len(due) != want {
			t.Errorf("%s behind the keys: %v, %v", behind, due, err)
		}
	}
}
