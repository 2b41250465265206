package gate_test

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// notary vouches and counts.
type notary struct {
	signed atomic.Int64
	err    error
}

func (c *notary) Vouch(claims *token.Claims, audience string, now time.Time) (string, time.Time, error) {
	n := c.signed.Add(1)
	return claims.Subject + " for " + audience + " " + strconv.FormatInt(n, 10), now.Add(30 * time.Second), c.err
}

// forwarded is the Authorization that the backend gets.
func forwarded(t *testing.T, g *gate.Gate, raw string, now time.Time) string {
	t.Helper()
	r := request(raw)
	g.Strip(r)
	p, err := g.Check(r, now)
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(r.Header)
	return r.Header.Get("Authorization")
}

func TestForward(t *testing.T) {
	s := newScene(t)
	raw, c := s.sign(t, "ann"), new(notary)
	for _, f := range []struct {
		how  gate.Forward
		want string
	}{
		{gate.ForwardDrop, ""},
		{gate.ForwardToken, "Bearer " + raw},
		{gate.ForwardSigned, "Bearer ann for  1"},
	} {
		g := s.gate(t, gate.Config{Forward: f.how, Voucher: c})
		if got := forwarded(t, g, raw, s.now); got != f.want {
			t.Errorf("forward %d: %q, want %q", f.how, got, f.want)
		}
	}
}

func TestSignedTokenIsKeptForHalfItsLife(t *testing.T) {
	s := newScene(t)
	raw, c := s.sign(t, "ann"), new(notary)
	orders := s.gate(t, gate.Config{Forward: gate.ForwardSigned, Voucher: c, ForwardAudience: "orders"})
	bills := s.gate(t, gate.Config{Forward: gate.ForwardSigned, Voucher: c, ForwardAudience: "bills"})
	var all sync.WaitGroup
	forwarded(t, orders, raw, s.now) // so that the entry is there
	s.cache.Wait()
	for range 50 {
		all.Go(func() {
			forwarded(t, orders, raw, s.now.Add(29*time.Second))
			forwarded(t, bills, raw, s.now.Add(29*time.Second))
		})
	}
	all.Wait()
	if n := c.signed.Load(); n != 2 {
		t.Errorf("%d signatures for two audiences", n)
	}
	if got := forwarded(t, orders, raw, s.now.Add(30*time.Second)); got != "Bearer ann for orders 3" {
		t.Errorf("after half its life: %q", got)
	}
	// The issuer of another configuration vouches itself.
	other := new(notary)
	after := s.gate(t, gate.Config{Forward: gate.ForwardSigned, Voucher: other, ForwardAudience: "orders"})
	if forwarded(t, after, raw, s.now.Add(30*time.Second)); other.signed.Load() != 1 {
		t.Error("the new configuration forwards what the old one signed")
	}
}

func TestRequestThatNobodyCanVouchForIsNotForwarded(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Forward: gate.ForwardSigned, Voucher: &notary{err: errors.New("no key")}})
	_, err := g.Check(request(s.sign(t, "ann")), s.now)
	if r := refusal(t, err); r.Status != http.StatusServiceUnavailable || r.Reason != oauth.StoreUnavailable || r.Challenge != "" {
		t.Errorf("%d %s %q", r.Status, r.Reason, r.Challenge)
	}
	if _, err := gate.New(gate.Config{Issuers: []gate.Issuer{s.embedded()}, Forward: gate.ForwardSigned}, s.cache); err == nil {
		t.Error("a gate that cannot sign is made")
	}
}
