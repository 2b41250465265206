package tokenissuer

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// TestClientThatIsDownCostsNoMoreForWhatItIsOwed: one with very many notices is tried as
// one with a single one, delays nobody, and hears of all when it is back.
func TestClientThatIsDownCostsNoMoreForWhatItIsOwed(t *testing.T) {
	const owed = 300
	var down atomic.Bool
	var tries, arrived, well atomic.Int32
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1); down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		arrived.Add(1)
	}))
	defer shop.Close()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { well.Add(1) }))
	defer other.Close()
	var failures atomic.Int32
	s := openState(t, func(error) { failures.Add(1) })
	now := time.Now().Add(time.Hour) // the background of s sees nothing due yet
	sender := patient()

	down.Store(true)
	for n := range owed {
		s.owe(t, now, "shop", shop.URL, fmt.Sprint(n))
	}
	for at := time.Duration(0); at < time.Hour; at += deliverEvery {
		if at%(5*time.Minute) == 0 {
			s.owe(t, now.Add(at), "other", other.URL, at.String())
		}
		s.tellAll(t, sender, now.Add(at))
	}
	if well.Load() != 12 {
		t.Errorf("the other client heard of %d, want 12", well.Load())
	}
	if n := tries.Load(); n < 55 || n > 62 || failures.Load() != n { // at once, after 5 s, 20 s, and then each minute
		t.Errorf("%d tries and %d failures in an hour, want one a minute", n, failures.Load())
	}

	down.Store(false)
	now = now.Add(time.Hour + restMost)
	for range owed/deliverMost + 1 {
		s.tellAll(t, sender, now)
	}
	// Those that were tried wait for a time of their own, up to an hour.
	if n := arrived.Load(); n < owed-62 {
		t.Errorf("%d of %d arrived when it was back", n, owed)
	}
	s.tellAll(t, sender, now.Add(time.Hour))
	s.tellAll(t, sender, now.Add(2*time.Hour))
	s.tellAll(t, sender, now.Add(2*time.Hour))
	s.tellAll(t, sender, now.Add(2*time.Hour))
	if n := arrived.Load(); n != owed {
		t.Errorf("%d of %d arrived in the end", n, owed)
	}
}

// TestClientThatHangsIsLeftAloneFromThen on: the time that it took is no part of its rest.
func TestClientThatHangsIsLeftAloneFromThen(t *testing.T) {
	t.Parallel()
	const hangs = 2 * time.Second
	shop := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer shop.Close()
	s := openState(t, func(error) {})
	now := time.Now().Add(time.Hour)
	s.owe(t, now, "shop", shop.URL, "a", "b")
	began := time.Now()
	s.tellAll(t, &http.Client{Timeout: hangs}, now)
	took := time.Since(began)
	for after, want := range map[time.Duration]int{deliverEvery: 0, deliverEvery + hangs - time.Millisecond: 0, deliverEvery + took: 1} {
		if due, err := s.store.DueClients(t.Context(), now.Add(after)); err != nil || len(due) != want {
			t.Errorf("%s after it was turned to, due %v, %v, want %d", after, due, err, want)
		}
	}
}

// TestClientsThatHangTakeNoPlaceOfOthers, however many they are and however long they have
// been owed what they do not take.
func TestClientsThatHangTakeNoPlaceOfOthers(t *testing.T) {
	t.Parallel()
	hanging, heard := make(chan struct{}, 99), make(chan string, 1)
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		hanging <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(hangs.Close)
	well := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- sessionOf(r) }))
	t.Cleanup(well.Close)
	s := openState(t, func(error) {})
	var silent []string
	for n := range 3 * deliverAside {
		silent = append(silent, fmt.Sprint("hangs", n))
	}
	s.waits(append(silent, "well")...)
	now := time.Now()
	for _, client := range silent { // first that it was silent: the background may look at any time
		if err := s.store.Apply(t.Context(), now, store.RestClient{Client: client, Until: now.Add(-time.Minute)}); err != nil {
			t.Fatal(err)
		}
		s.owe(t, now.Add(-time.Hour), client, hangs.URL, "a", "b", "c")
	}
	s.wake()
	for range silentAside {
		<-hanging
	}
	s.owe(t, now, "well", well.URL, "d")
	s.wake()
	select {
	case got := <-heard:
		if got != "d" {
			t.Errorf("told of session %s", got)
		}
	case <-time.After(patience): // less than those that hang are given
		t.Error("it waits for clients that hang")
	}
}

// TestOneNodeTriesWhoWasSilent: the others find that it has the client to itself.
func TestOneNodeTriesWhoWasSilent(t *testing.T) {
	var tries atomic.Int32
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tries.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer shop.Close()
	s := openState(t, func(error) {})
	now := time.Now().Add(time.Hour)
	s.owe(t, now, "shop", shop.URL, "a", "b", "c")
	sender := patient()
	began := time.Now()
	s.tellAll(t, sender, now)
	now = now.Add(deliverEvery + time.Since(began)) // what a try has taken comes on top of its pause
	due, err := s.store.DueClients(t.Context(), now)
	if want := (store.DueClient{Client: "shop", Failures: 1}); err != nil || len(due) != 1 || due[0] != want {
		t.Fatalf("due %v, %v", due, err)
	}
	for range 2 { // as two nodes that looked at the same moment
		_ = s.tell(t.Context(), sender, newCourier(0).next(due, now)[0], now)
	}
	if tries.Load() != 2 {
		t.Errorf("%d tries, want the first and one more", tries.Load())
	}
}
