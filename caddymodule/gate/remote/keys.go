package remote

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"math/rand/v2"
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
	waitingMost = 256              // requests that wait for one issuer at a time
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

// refresh fetches once and says when to do it again.
func (k *Keys) refresh(ctx context.Context) time.Duration {
	k.takeOff()
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, k.config.Timeout)
	defer cancel()
	text, header, err := k.fetch(bounded)
	if ctx.Err() != nil {
		return 0 // closed meanwhile, which is nobody's failure
	}
	e := Event{Issuer: k.config.Issuer, Took: time.Since(began), Set: k.set.Load()}
	var pause time.Duration
	if err == nil {
		pause, err = k.succeed(&e, text, header)
	}
	if err != nil {
		pause = k.fail(&e)
	}
	e.Result, e.Err = resultOf(err), err
	k.land(err)
	if k.config.Observe != nil {
		k.config.Observe(e)
	}
	return pause
}

// fetch gets the key set from where the operator, or the issuer, says it is.
func (k *Keys) fetch(ctx context.Context) (text []byte, header http.Header, err error) {
	address := k.config.JWKSURI
	if address == "" {
		if k.found == "" {
			if k.found, err = discover(ctx, k.client, k.config.Issuer); err != nil {
				return nil, nil, err
			}
		}
		address = k.found
	}
	if text, header, err = get(ctx, k.client, address); err != nil {
		k.found = "" // it may have moved
		return nil, nil, within("keys", err)
	}
	return text, header, nil
}

// succeed takes a key set that was fetched into use.
func (k *Keys) succeed(e *Event, text []byte, header http.Header) (time.Duration, error) {
	digest, before := sha256.Sum256(text), e.Set
	if before == nil || digest != k.digest {
		set, err := k.config.Crypto.ParseJWKS(text)
		if err != nil {
			k.found = ""
			return 0, &Failure{Result: Malformed, words: "keys: " + oneLine(err), cause: err}
		}
		e.Set, e.Changed, k.digest = set, true, digest
		k.set.Store(set)
	}
	now, fresh := time.Now(), freshness(header)
	k.mu.Lock()
	defer k.mu.Unlock()
	e.From, e.To = k.state, Fresh
	k.state, k.failures, k.fetched, k.freshTill = Fresh, 0, now, now.Add(fresh)
	k.next = now.Add(pauseLeast)
	if e.Changed && e.Set.Adds(before) {
		// It rotates; its next key may be as near as this one was. Strangers cannot
		// bring that about.
		k.next = now.Add(pauseFirst)
	}
	// Before the keys are stale, and not all gates of the world at the same second.
	return fresh*3/4 + rand.N(fresh/8), nil //nolint:gosec // no secret: it spreads the load
}

// fail goes on with the keys there are, for as long as they may be used.
func (k *Keys) fail(e *Event) time.Duration {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failures++
	first := pauseLeast
	if e.Set == nil {
		first = pauseFirst
	}
	pause := pauseMost
	if k.failures < 8 {
		pause = min(first<<(k.failures-1), pauseMost)
	}
	k.next = now.Add(pause)
	pause += rand.N(pause / 4) //nolint:gosec // no secret: it spreads the load
	till := k.fetched.Add(k.config.StaleFor)
	e.From, e.To = k.state, k.state
	switch {
	case e.Set == nil:
		e.To = Down
	case !now.Before(till):
		e.To, e.Set = Down, nil
		k.set.Store(nil)
	default:
		pause = min(pause, till.Sub(now))
		if !now.Before(k.freshTill) {
			e.To, e.Until = Stale, till
		}
	}
	k.state = e.To
	return pause
}
