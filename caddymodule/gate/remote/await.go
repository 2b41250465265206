package remote

import (
	"context"
	"fmt"
	"time"
)

// Await is for a token whose key Key does not have: it returns once it is known
// whether the issuer has it. Then Key answers. An error says that nobody can
// say now.
//
// A token that names a key nobody knows costs a stranger nothing, so all of them
// together cause one fetch in a while, and those that come meanwhile are told
// what the last one said. Very many may wait, each for a moment: who is not let wait
// would be told that a good token is none, or a stranger that we are unwell.
func (k *Keys) Await(ctx context.Context, kid string) error {
	flight, err := k.board(kid)
	if flight == nil {
		return err
	}
	late := time.NewTimer(k.config.Wait)
	defer late.Stop()
	select {
	case <-flight:
	case <-late.C:
		err = k.unavailable("has not answered yet")
	case <-ctx.Done():
		err = ctx.Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting--
	if err != nil {
		return err
	}
	return k.verdict(kid)
}

// board returns the fetch to wait for; nil where there is none, with the answer
// there is instead.
func (k *Keys) board(kid string) (<-chan struct{}, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, known := k.Key(kid); known {
		return nil, nil
	}
	if k.closed {
		return nil, k.unavailable("belongs to a configuration that has ended")
	}
	if k.flight == nil {
		pause := max(time.Until(k.next), 0)
		if pause > pauseFirst {
			return nil, k.verdict(kid)
		}
		k.flight = make(chan struct{})
		k.early <- pause
	}
	if k.waiting == waitingMost {
		return nil, k.unavailable("is waited for by too many")
	}
	k.waiting++
	return k.flight, nil
}

// verdict says whether the last fetch can be taken for the issuer's word on a
// key that it did not bring.
func (k *Keys) verdict(kid string) error {
	if _, known := k.Key(kid); known || k.failure == nil {
		return nil
	}
	return k.unavailable(k.failure.Error())
}

func (k *Keys) unavailable(why string) error {
	return fmt.Errorf("issuer %s: %s", k.config.Issuer, why)
}

// takeOff is the beginning of a fetch. From here until it lands, nobody asks for
// another one.
func (k *Keys) takeOff() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flight == nil {
		k.flight = make(chan struct{})
	}
	select {
	case <-k.early: // this is the one that was asked for
	default:
	}
}

// land is the end of a fetch, for those who wait for it.
func (k *Keys) land(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failure = err
	if k.flight != nil {
		close(k.flight)
		k.flight = nil
	}
}

// close lets go whoever waits: there will be no fetch any more.
func (k *Keys) close() {
	k.land(context.Canceled)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	k.client.CloseIdleConnections()
}
