package remote

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// KeysConfig says whose keys are fetched. The bounds have defaults.
type KeysConfig struct {
	// Issuer is the identifier, exactly as its tokens and its metadata say it.
	Issuer string

	// JWKSURI is where the keys are. Default: where the issuer's metadata says, on
	// the issuer's own host.
	JWKSURI string

	// Crypto verifies with the keys.
	Crypto token.Crypto

	// Roots vouch for the issuer's certificate. Default: the system's.
	Roots *x509.CertPool

	// Observe is told of every fetch, one after another. It does not call back.
	Observe func(Event)

	// Timeout ends one fetch, discovery included. Default 10s.
	Timeout time.Duration

	// Wait is the longest that a request waits for a key nobody has seen yet.
	// Default 2s.
	Wait time.Duration

	// StaleFor is how long keys are used after they were last fetched, while the
	// issuer cannot be asked. Default 24h.
	StaleFor time.Duration
}

const (
	freshMost    = time.Hour // whatever Cache-Control says: a removed key opens nothing after that
	freshLeast   = time.Minute
	freshDefault = 10 * time.Minute

	pauseFirst  = time.Second      // after a failure while there are no keys, and after a fetch that found a new one
	pauseLeast  = 10 * time.Second // between fetches that unknown keys cause
	pauseMost   = time.Minute      // doubling with failures
	waitingMost = 10_000           // requests that wait for one issuer at a time: memory for them all there is
)

// State is how an issuer's keys are.
type State string

// The states of keys.
const (
	Waiting State = "waiting" // nobody has answered yet
	Fresh   State = "fresh"
	Stale   State = "stale" // used beyond what the issuer has said, for it cannot be asked
	Down    State = "down"  // none are used
)

// Event is one fetch of keys and what it changed.
type Event struct {
	Issuer   string
	Result   Result
	Err      error // nil with OK
	From, To State
	Until    time.Time     // with Stale, when they are not used any more
	Changed  bool          // the key set is another one
	Set      *token.Set    // what is used now; nil: nothing
	Took     time.Duration // of the fetch
}

// Keys are the keys of one issuer, fetched before they are needed. It implements
// token.Keys; asking is one atomic load and one look-up.
type Keys struct {
	config KeysConfig
	client *http.Client
	set    atomic.Pointer[token.Set] // nil: none may be used
	stop   context.CancelFunc
	ended  chan struct{}
	early  chan time.Duration // asks for a fetch before its time; has room for one

	// Of the goroutine that fetches.
	found  string // by discovery, forgotten when it leads nowhere
	digest [sha256.Size]byte

	mu        sync.Mutex
	state     State
	fetched   time.Time // the last success
	freshTill time.Time
	failures  int           // in a row
	failure   error         // the last fetch's; nil: it is to be relied on
	next      time.Time     // no unknown key causes a fetch before
	flight    chan struct{} // closed when the fetch that is under way, or about to begin, has ended
	waiting   int
	closed    bool
}

// OpenKeys begins to fetch, and returns at once.
func OpenKeys(c KeysConfig) (*Keys, error) {
	address := c.JWKSURI
	if address == "" {
		address = c.Issuer
	}
	u, err := parseURL(address)
	if err != nil {
		return nil, err
	}
	for _, bound := range []struct {
		value *time.Duration
		or    time.Duration
	}{{&c.Timeout, 10 * time.Second}, {&c.Wait, 2 * time.Second}, {&c.StaleFor, 24 * time.Hour}} {
		if *bound.value <= 0 {
			*bound.value = bound.or
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	k := &Keys{
		config: c, client: newClient(c.Roots, u.Scheme == "http"), stop: stop, ended: make(chan struct{}),
		early: make(chan time.Duration, 1), state: Waiting, flight: make(chan struct{}),
	}
	go k.run(ctx)
	return k, nil
}

// Close ends the fetching. Who still has the keys can use them.
func (k *Keys) Close() {
	k.stop()
	<-k.ended
}

// Key finds a key by its id, among those that were fetched.
func (k *Keys) Key(kid string) (token.Public, bool) {
	if set := k.set.Load(); set != nil {
		return set.Key(kid)
	}
	return token.Public{}, false
}

// Status says how the keys are, and when they were last fetched; zero: never.
func (k *Keys) Status() (State, time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state, k.fetched
}

// run is the one that fetches, so there is never a second fetch beside a first.
func (k *Keys) run(ctx context.Context) {
	defer close(k.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			k.close()
			return
		case pause := <-k.early:
			timer.Reset(pause)
			continue
		case <-timer.C:
		}
		timer.Reset(k.refresh(ctx))
	}
}
