package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// verifiers take tokens from each node of a cluster and show them to all of them at
// once: at the gate, and as somebody does who has fetched the key set just then.
type verifiers struct {
	*cluster
	lives []atomic.Int64 // of each node: odd while it is killed
	hour  sync.RWMutex   // held by who lets time pass: nodes learn of that one after the other

	mu       sync.Mutex
	signed   map[string]int // tokens, by the key that signed them
	verified atomic.Int64
	later    atomic.Int64 // answers that say: later
	held     []held
}

// held is a token that was answered, until by the database's clock it expires.
type held struct {
	token string
	until int64
}

func (c *cluster) verifiers() *verifiers {
	return &verifiers{cluster: c, lives: make([]atomic.Int64, len(c.nodes)), signed: map[string]int{}}
}

// begin has one client at each node, until the function that it returns is called.
func (v *verifiers) begin() (end func()) {
	over := make(chan struct{})
	var all sync.WaitGroup
	for at := range v.nodes {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(3 * time.Millisecond): // a client's own pace
				}
				v.hour.RLock()
				if token, ok := v.take(at); ok {
					v.everywhere(token)
				}
				v.hour.RUnlock()
			}
		})
	}
	return func() { close(over); all.Wait() }
}

// from asks a node, which may be killed meanwhile: then ok is false.
func (v *verifiers) from(at int, method, path, body string, lines ...string) (a answer, ok bool) {
	life := v.lives[at].Load()
	if life%2 == 1 {
		return a, false
	}
	a, err := v.nodes[at].ask(method, path, body, lines...)
	if err != nil {
		if v.lives[at].Load() == life {
			v.Errorf("node %d, which runs: %v", at, err)
		}
		return a, false
	}
	if notLater(a) == "" {
		v.later.Add(1)
		return a, false
	}
	return a, true
}

// take gets a token from a node.
func (v *verifiers) take(at int) (token string, ok bool) {
	a, ok := v.from(at, http.MethodPost, "/oauth2/token", byRobot().Encode())
	if !ok {
		return "", false
	}
	got, err := a.tokens()
	if err != nil {
		v.Errorf("node %d: %v", at, err)
		return "", false
	}
	v.mu.Lock()
	v.signed[kid(got.Access)]++
	v.mu.Unlock()
	return got.Access, true
}

// everywhere shows an access token to every node that runs.
func (v *verifiers) everywhere(token string) {
	for at := range v.nodes {
		v.published(at, token)
		if a, ok := v.from(at, http.MethodGet, "/", "", bearer(token)); ok && a.status != http.StatusOK {
			v.Errorf("node %d refuses a token of key %s that was answered: %d %s", at, kid(token), a.status, a.header.Get("WWW-Authenticate"))
		}
	}
	v.verified.Add(1)
}

// published verifies a token with nothing but what a node publishes.
func (v *verifiers) published(at int, token string) {
	a, ok := v.from(at, http.MethodGet, "/oauth2/jwks", "")
	if !ok {
		return
	}
	set, err := jwk.Parse([]byte(a.body))
	if err == nil {
		_, err = jws.Verify([]byte(token), jws.WithKeySet(set))
	}
	if err != nil {
		v.Errorf("node %d publishes nothing that verifies a token of key %s: %v: %s", at, kid(token), err, a.body)
	}
}

// kid names the key that signed a token.
func kid(token string) string {
	m, err := jws.ParseString(token)
	if err != nil || len(m.Signatures()) != 1 {
		return ""
	}
	return m.Signatures()[0].ProtectedHeaders().KeyID()
}

// hold keeps a token to look at it again.
func (v *verifiers) hold(token string, lifetime time.Duration) {
	v.held = append(v.held, held{token, v.number(`SELECT `+inMillis) + lifetime.Milliseconds()})
}

// still wants what was answered earlier and has not expired to be good everywhere.
func (v *verifiers) still() {
	const near = 60_000 // by then it may have expired
	now := v.number(`SELECT ` + inMillis)
	var good []held
	for _, h := range v.held {
		if h.until > now+near {
			v.everywhere(h.token)
			good = append(good, h)
		}
	}
	v.held = good
}
