package tokenissuer

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

const operatorsSecret = "one key-encryption key of the operator"

// startNode is a process's state on a shared database, with or without the option.
func startNode(t *testing.T, url, kek string) *State {
	t.Helper()
	address, err := postgres.ParseAddress(url)
	if err != nil {
		t.Fatal(err)
	}
	st, err := postgres.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	rules := Config{SigningAlgorithm: "ES256"}.KeyRules(kek)
	s, err := OpenState(t.Context(), st, rules, func(err error) { t.Errorf("told: %v", err) })
	if err != nil {
		t.Errorf("a node does not start: %v", err)
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		return nil
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Nodes get key_encryption_key one after the other. Who has it not yet goes on with
// the keys it knows, and makes none in plain text.
func TestNodeGoesOnWhileOthersSealTheKeys(t *testing.T) {
	url := postgrestest.URL(t)
	late := startNode(t, url, "")
	before := late.ring().List()
	startNode(t, url, operatorsSecret)
	// What it hears after the sealing has come behind it.
	behind, _ := late.Behind()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if records, err := late.store.Keys(t.Context()); err != nil || len(records) == 0 || !records[0].Sealed {
			t.Fatalf("%v: the keys are not sealed", err)
		}
		now, _ := late.Behind()
		if now < behind { // it has looked since
			break
		}
		if behind = now; time.Now().After(end) {
			t.Fatalf("the changes are not followed any more, for %s", now)
		}
	}
	if err := late.reload(t.Context()); err != nil {
		t.Errorf("the keys that it knows: %v", err)
	}
	if after := late.ring().List(); len(after) != len(before) || after[0].ID != before[0].ID {
		t.Errorf("it had %v, and has %v", before, after)
	}
	if err := late.rotateNow(t.Context(), late.now()); err == nil || !strings.Contains(err.Error(), "set key_encryption_key") {
		t.Errorf("a new key in plain text among sealed ones: %v", err)
	}
	rules := Config{SigningAlgorithm: "ES256"}.KeyRules(operatorsSecret)
	if err := late.Configure(t.Context(), rules); err != nil {
		t.Errorf("it gets the option at last: %v", err)
	}
}

func TestNodesThatStartTogetherSealTheKeys(t *testing.T) {
	for range 3 {
		url := postgrestest.URL(t)
		startNode(t, url, "")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { startNode(t, url, operatorsSecret) })
		}
		all.Wait()
	}
}

// The first key signs at once: a node that made another because its clock is behind
// would sign with one that the others do not publish.
func TestNodesThatStartTogetherMakeOneKey(t *testing.T) {
	url := postgrestest.URL(t)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() { startNode(t, url, "") })
	}
	all.Wait()
	late := startNode(t, url, "")
	keys := late.ring().List()
	if len(keys) != 1 {
		t.Fatalf("they made %v", keys)
	}
	if err := late.rotate(t.Context(), keys[0].Created.Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if again := late.ring().List(); len(again) != 1 {
		t.Errorf("a node whose clock is a second behind made another: %v", again)
	}
}

// Two operators rotate at once: one key is announced, and who did not announce it reads
// that somebody has.
func TestNodesThatRotateTogetherAnnounceOneKey(t *testing.T) {
	url := postgrestest.URL(t)
	nodes := []*State{startNode(t, url, ""), startNode(t, url, "")}
	now := nodes[0].now()
	for round := range 10 {
		now = now.Add(time.Hour) // what was announced signs
		answers := make([]error, len(nodes))
		var all sync.WaitGroup
		for i, node := range nodes {
			all.Go(func() { answers[i] = node.rotateNow(t.Context(), now) })
		}
		all.Wait()
		announced := 0
		for _, err := range answers {
			switch {
			case err == nil:
				announced++
			case !errors.Is(err, ErrAnnounced):
				t.Errorf("round %d: %v", round, err)
			}
		}
		if announced != 1 {
			t.Errorf("round %d: %d keys were announced", round, announced)
		}
	}
}
