package tokenissuer

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// hears waits until a node refuses a token that another one revokes.
func hears(t *testing.T, here, there *State, id string) {
	t.Helper()
	if err := there.store.Apply(t.Context(), there.now(), store.RevokeToken{ID: id, Expires: there.now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	until(t, id+" is revoked", func() bool { return here.revoked.Revoked(id, "", 0) })
}

func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in twenty seconds: %s", what)
		}
	}
}

// A node that makes a key, or waits for one, hears of revocations meanwhile.
func TestRevocationsDoNotWaitForTheLockOfTheKeys(t *testing.T) {
	url := postgrestest.URL(t)
	here, there := startNode(t, url, ""), startNode(t, url, "")
	here.keyLock.Lock()
	if err := there.rotateNow(t.Context(), there.now()); err != nil {
		t.Error(err)
	}
	made := time.Now()
	hears(t, here, there, "t1")
	hears(t, here, there, "t2") // by a look that began when the key was there
	if behind := here.changes.KeysBehind(); behind < time.Since(made) || len(here.ring().List()) != 1 {
		t.Errorf("it knows %d keys, and all until %s ago", len(here.ring().List()), behind)
	}
	here.keyLock.Unlock()
	until(t, "the keys are known", func() bool { return len(here.ring().List()) == 2 && here.changes.KeysBehind() < time.Since(made) })
}

// A node without key_encryption_key goes on with the keys that it has when another makes
// one, hears of what is revoked, and says what is missing until it gets it.
func TestNodeThatCannotOpenANewKeyHearsOfRevocations(t *testing.T) {
	url := postgrestest.URL(t)
	late, told := openNode(t, url)
	other, _ := openNode(t, url)
	if err := other.Configure(t.Context(), Config{}.KeyRules(operatorsSecret)); err != nil {
		t.Fatal(err)
	}
	if err := other.rotateNow(t.Context(), other.now()); err != nil {
		t.Fatal(err)
	}
	made := time.Now()
	told.await(t, "the keys that other nodes have changed cannot be read: the keys of this store are sealed: set key_encryption_key")
	hears(t, late, other, "t1")
	until(t, "what others revoke is known, and the keys are not", func() bool {
		behind, _ := late.Behind()
		return behind < time.Since(made) && late.changes.KeysBehind() > time.Since(made)
	})
	if n := len(late.ring().List()); n != 1 {
		t.Errorf("it has %d keys", n)
	}
	if err := late.Configure(t.Context(), Config{}.KeyRules(operatorsSecret)); err != nil {
		t.Fatal(err)
	}
	until(t, "the keys are known", func() bool { return len(late.ring().List()) == 2 && late.changes.KeysBehind() < time.Since(made) })
	told.await(t, "the keys that other nodes have changed cannot be read", "the keys that other nodes have changed are read again")
}

// What a node lacks may sign when it has been published for its time by the others, and
// what a node published before is kept for a while.
func TestNodeKnowsTheKeysUntilOneThatItLacksMaySign(t *testing.T) {
	for _, c := range []struct {
		behind time.Duration
		serve  bool
		want   bool
	}{
		{0, false, true},
		{4 * time.Minute, false, true},
		{5 * time.Minute, false, false},
		{5 * time.Minute, true, true},
		{lead, false, false},
	} {
		if got := (Staleness{Serve: c.serve}).knowsKeys(c.behind); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// A key set is kept for a while: one that may lack a key which signs then is not to be had,
// or not to be kept where a node is to go on alone.
func TestKeySetIsNotOlderThanKeysTakeToSign(t *testing.T) {
	state := openState(t, func(err error) { t.Error(err) })
	for _, c := range []struct {
		behind time.Duration
		serve  bool
		status int
		keep   string
	}{
		{0, false, http.StatusOK, "public, max-age=300"},
		{4 * time.Minute, false, http.StatusOK, "public, max-age=300"},
		{4 * time.Minute, true, http.StatusOK, "public, max-age=300"},
		{5 * time.Minute, false, http.StatusServiceUnavailable, "no-store"},
		{5 * time.Minute, true, http.StatusOK, "no-store"},
	} {
		i, err := New(Config{Issuer: "https://auth.example.com", Staleness: Staleness{Serve: c.serve}}, state)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		r := &request{Request: httptest.NewRequest(http.MethodGet, "https://auth.example.com/oauth2/jwks", nil), w: w, now: state.now(), dialect: i.unnamed(oauth2)}
		if err := i.keySet(r, c.behind); err != nil {
			r.fail(err)
		}
		if got := w.Header().Get("Cache-Control"); w.Code != c.status || got != c.keep {
			t.Errorf("%+v: %d, %s", c, w.Code, got)
		}
		if keys := strings.Contains(w.Body.String(), state.ring().List()[0].ID); keys != (c.status == http.StatusOK) {
			t.Errorf("%+v: %s", c, w.Body)
		}
		if later := w.Header().Get("Retry-After") != ""; later != (c.status == http.StatusServiceUnavailable) {
			t.Errorf("%+v: Retry-After %v", c, later)
		}
	}
}

// A node whose idea of the time is ahead has given out a token that says so, and its client
// is revoked at another one at that moment.
func TestRevokedClientsTokensOfANodeThatIsAheadAreRefused(t *testing.T) {
	alone := openState(t, func(err error) { t.Error(err) })
	for ahead, state := range map[int64]*State{0: alone, 2: startNode(t, postgrestest.URL(t), "")} {
		i, err := New(Config{
			Issuer: "https://auth.example.com", SigningAlgorithm: "ES256",
			Clients: []Client{{ID: "app", Type: "mobile", Grants: []string{"password"}, Scopes: []string{"openid"}}},
		}, state)
		if err != nil {
			t.Fatal(err)
		}
		const learns = 100 * time.Millisecond // what its idea of the time may change meanwhile
		before := state.now().Add(-learns)
		if err := i.RevokeClient(t.Context(), "app"); err != nil {
			t.Fatal(err)
		}
		after := state.now().Add(learns)
		if !state.revoked.RevokedByClient("app", before.Unix()+ahead) {
			t.Errorf("a token of %d seconds ahead is good", ahead)
		}
		if state.revoked.RevokedByClient("app", after.Unix()+ahead+1) {
			t.Errorf("a token of %d seconds later is refused, for ever", ahead+1)
		}
	}
}
