package tokenissuer

import (
	"fmt"
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
	for end := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not after %s: %s", patience, what)
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
	if since, behind := time.Since(made), here.changes.KeysBehind(); behind < since || len(here.ring().List()) != 1 {
		t.Errorf("it knows %d keys, and all until %s ago", len(here.ring().List()), behind)
	}
	here.keyLock.Unlock()
	until(t, "the keys are known", func() bool { return len(here.ring().List()) == 2 && time.Since(made) > here.changes.KeysBehind() })
}

// A node without key_encryption_key goes on with the keys that it has when another makes
// one, hears of what is revoked, and says what is missing until it gets it.
func TestNodeThatCannotOpenANewKeyHearsOfRevocations(t *testing.T) {
	url := postgrestest.URL(t)
	late, told := openNode(t, url)
	told.beside = "rotating keys: "
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
		since := time.Since(made)
		behind, _ := late.Behind()
		return since > behind && late.changes.KeysBehind() > time.Since(made)
	})
	if n := len(late.ring().List()); n != 1 {
		t.Errorf("it has %d keys", n)
	}
	if err := late.Configure(t.Context(), Config{}.KeyRules(operatorsSecret)); err != nil {
		t.Fatal(err)
	}
	until(t, "the keys are known", func() bool { return len(late.ring().List()) == 2 && time.Since(made) > late.changes.KeysBehind() })
	told.await(t, "the keys that other nodes have changed cannot be read", "the keys that other nodes have changed are read again")
}

// revokedBetween revokes a client, and returns the times before and after by the issuer's
// idea of it, which may change by as much as the machine is slow: then another one's turn
// has come.
func revokedBetween(t *testing.T, i *Issuer) (client string, before, after time.Time) {
	t.Helper()
	const learns = 100 * time.Millisecond
	for _, c := range i.config.Clients {
		ahead := i.state.Ahead()
		before = i.state.now().Add(-learns)
		if err := i.RevokeClient(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		if after = i.state.now().Add(learns); (i.state.Ahead() - ahead).Abs() < learns {
			return c.ID, before, after
		}
	}
	t.Fatal("its idea of the time changes all the while")
	return "", before, after
}

// A node whose idea of the time is ahead has given out a token that says so, and its client
// is revoked at another one at that moment.
func TestRevokedClientsTokensOfANodeThatIsAheadAreRefused(t *testing.T) {
	alone := openState(t, func(err error) { t.Error(err) })
	for ahead, state := range map[int64]*State{0: alone, 2: startNode(t, postgrestest.URL(t), "")} {
		config := Config{Issuer: "https://auth.example.com", SigningAlgorithm: "ES256"}
		for n := range 20 {
			config.Clients = append(config.Clients, Client{ID: fmt.Sprint("app", n), Type: "mobile", Grants: []string{"password"}, Scopes: []string{"openid"}})
		}
		i, err := New(config, state)
		if err != nil {
			t.Fatal(err)
		}
		client, before, after := revokedBetween(t, i)
		if !state.revoked.RevokedByClient(client, before.Unix()+ahead) {
			t.Errorf("a token of %d seconds ahead is good", ahead)
		}
		if state.revoked.RevokedByClient(client, after.Unix()+ahead+1) {
			t.Errorf("a token of %d seconds later is refused, for ever", ahead+1)
		}
	}
}
