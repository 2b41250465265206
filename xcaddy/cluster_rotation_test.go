package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

var rotationKills = flag.Int("rotationkills", 20, "how often a node of a cluster is killed while a signing key is rotated")

const (
	keyPeriod    = time.Hour        // the shortest
	keyLead      = 10 * time.Minute // for which a key is published before it signs
	keyTokens    = 24 * time.Hour   // what it signs is good for so long
	rotationRule = "\t\tkey_rotation 1h\n\t\taccess_token_lifetime 24h\n"

	allOfThem = `usage = 'sig'`
	inUse     = allOfThem + ` AND retired = 0 AND sign_from <= ` + inMillis
	announced = allOfThem + ` AND retired = 0 AND sign_from > ` + inMillis
)

// rotation is the state of killRotating.
type rotation struct {
	*verifiers
	done, undone int // rotations that somebody asked of a node that was killed then
	kept         int64
}

// killRotating kills one of three nodes in the middle of a change of the signing keys,
// again and again: when a key is due, when it begins to sign, when an operator asks for
// one, when the old one retires, when that goes.
func killRotating(t *testing.T) {
	c := clusterOf(t, rules{store: make([]string, 3), issuer: rotationRule, database: simulated})
	r := &rotation{verifiers: c.verifiers()}
	r.kept = r.number(`SELECT COUNT(*) FROM keys WHERE NOT ` + allOfThem)
	begun := time.Now()
	for n := range *rotationKills {
		r.round(n)
		if t.Failed() {
			t.Fatalf("after kill %d", n)
		}
	}
	r.nothingLeft()
	t.Logf("%d kills of a node in %s: %d tokens of %d keys verified everywhere, %d requests answered 503; %d rotations that were asked of a node that was killed happened, %d did not",
		*rotationKills, time.Since(begun).Round(time.Second), r.verified.Load(), len(r.signed), r.later.Load(), r.done, r.undone)
	if len(r.signed) < *rotationKills/2 || r.verified.Load() < 10*int64(*rotationKills) {
		t.Error("that is too little to have tested anything")
	}
}

// round lets the time pass until something happens to the keys, kills a node then, and
// has it back.
func (r *rotation) round(n int) {
	r.Helper()
	at := n % len(r.nodes)
	spare := (at + 1 + n/3%2) % len(r.nodes)
	asked := false
	var happens func()
	switch n % 5 {
	case 0: // the schedule's next key is due, all nodes find so at once
		r.pass(`SELECT MAX(sign_from) + ` + fmt.Sprint((keyPeriod - keyLead).Milliseconds()) + ` FROM keys WHERE ` + allOfThem)
		happens = r.poke
	case 1: // it begins to sign
		r.pass(`SELECT MIN(sign_from) FROM keys WHERE ` + announced)
		happens = func() {}
	case 2: // an operator asks this node for one
		happens = func() { asked = r.ask(at) == http.StatusOK }
	case 3: // that begins to sign, and each wants to retire the one before
		r.pass(`SELECT MIN(sign_from) FROM keys WHERE ` + announced)
		happens = r.poke
	case 4: // the last token of what has retired expires
		r.pass(`SELECT MAX(expires) FROM keys WHERE ` + allOfThem)
		happens = r.poke
	}
	end := r.begin()
	person := r.nodes[spare].signIn()
	r.kill(at, happens)
	r.published(spare, person.ID)
	if n%5 == 2 {
		r.askAnother(spare, asked)
	}
	if n%2 == 0 { // it comes back while the others settle
		var back sync.WaitGroup
		back.Go(func() { r.back(at) })
		r.settled(n)
		back.Wait()
	} else {
		r.settled(n)
		r.back(at)
	}
	end()
	r.same()
	r.still()
	// What people have goes on, with the new key.
	next := r.nodes[at].earn(byRefresh("phone", person.Refresh))
	r.everywhere(next.Access)
	r.published(at, next.ID)
	r.hold(next.Access, keyTokens)
}

// pass lets the time pass until a moment that the database knows.
func (r *rotation) pass(sql string) {
	r.Helper()
	r.hour.Lock()
	defer r.hour.Unlock()
	rest := r.till(r.number(sql))
	<-time.After(rest - 5*time.Millisecond) // the rest passes by itself
}

// kill ends a node while something happens, at any moment of it.
func (r *rotation) kill(at int, happens func()) {
	var under sync.WaitGroup
	under.Go(happens)
	<-time.After(rand.N(40 * time.Millisecond)) // the fault's own moment
	r.lives[at].Add(1)
	r.nodes[at].running.kill()
	r.nodes[at].running = nil
	r.nodes[at].client.CloseIdleConnections()
	under.Wait()
}

func (r *rotation) back(at int) {
	r.nodes[at].start()
	r.lives[at].Add(1)
}

// poke has all nodes look at the keys at once: something may be due.
func (r *rotation) poke() {
	postgrestest.Exec(r.T, r.url, `INSERT INTO changes (at, keys, revoked) VALUES (`+inMillis+`, 1, '[]');
SELECT pg_notify('gatehouse_' || oid, '') FROM pg_namespace WHERE nspname = 'public'`)
}

// ask asks a node for a new key, as `gatehouse issuer key rotate` does.
func (r *rotation) ask(at int) (status int) {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://"+r.nodes[at].admin+"/token_issuer/keys/rotate", nil)
	if err != nil {
		r.Error(err)
		return 0
	}
	// A connection of its own: one that was killed with its node is no answer.
	request.Close = true
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// askAnother asks a second node for what the first was killed over. Either it is there,
// or it is made now.
func (r *rotation) askAnother(at int, answered bool) {
	r.Helper()
	switch status := r.ask(at); {
	case status == http.StatusConflict:
		r.done++
	case status == http.StatusOK && !answered:
		r.undone++
	default:
		r.Errorf("the first node had answered: %v; the second said %d", answered, status)
	}
}

// settled wants one key in use, at most one to come, and all nodes that run to know so.
func (r *rotation) settled(n int) {
	r.Helper()
	r.told()
	r.poke() // as they do each minute
	eventually(r.T, "one key is in use", func() bool { return r.number(`SELECT COUNT(*) FROM keys WHERE `+inUse) == 1 })
	if soon := r.number(`SELECT COUNT(*) FROM keys WHERE ` + announced); soon > 1 || soon == 0 && (n%5 == 0 || n%5 == 2) {
		r.Errorf("%d keys are announced", soon)
	}
	r.same()
}

// told wants all nodes that run to publish what there is although nobody asks them to
// look at the keys. Each looks by itself once a minute, which is not what is meant.
func (r *rotation) told() {
	r.Helper()
	const most = 40 * time.Second
	began := time.Now()
	for at := range r.nodes {
		eventually(r.T, "the node has the keys that there are", func() bool {
			a, ok := r.from(at, http.MethodGet, "/oauth2/jwks", "")
			if !ok {
				return r.lives[at].Load()%2 == 1
			}
			want := r.number(`SELECT COUNT(*) FROM keys WHERE ` + allOfThem + ` AND (expires = 0 OR expires > ` + inMillis + `)`)
			return int64(strings.Count(a.body, `"kid"`)) == want
		})
	}
	if took := time.Since(began); took > most {
		r.Errorf("a node did not publish a new key for %s", took)
	}
}

// same wants all nodes that run to publish what is in the database and to sign with the
// one key.
func (r *rotation) same() {
	r.Helper()
	r.told()
	want := postgrestest.Ask(r.T, r.url, `SELECT id FROM keys WHERE `+inUse+` ORDER BY sign_from DESC LIMIT 1`)
	for at := range r.nodes {
		if token, ok := r.take(at); ok && kid(token) != want {
			r.Errorf("node %d signs with %s, not with %s", at, kid(token), want)
		}
	}
}

// nothingLeft looks for what would be more with every kill.
func (r *rotation) nothingLeft() {
	r.Helper()
	r.pass(`SELECT MAX(expires) FROM keys WHERE ` + allOfThem)
	r.pass(`SELECT ` + inMillis + ` + 1000`)
	r.poke()
	for what, most := range map[string]int64{
		`keys WHERE ` + allOfThem:     2, // one in use, and one that is announced
		`keys WHERE NOT ` + allOfThem: r.kept,
		`pg_stat_activity WHERE application_name LIKE 'gatehouse%' AND state LIKE 'idle in transaction%'`:                                    0,
		`pg_stat_activity WHERE application_name = 'gatehouse listener'`:                                                                     3,
		`pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = CAST(current_database() AS NAME))`: 3,
	} {
		eventually(r.T, fmt.Sprintf("at most %d of %s", most, what), func() bool { return r.number(`SELECT COUNT(*) FROM `+what) <= most })
	}
}
