package remote

import (
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"net/http"
	"time"
)

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
