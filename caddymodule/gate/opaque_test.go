package gate_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// counter is where opaque tokens are looked up, and how often.
type counter struct {
	known map[token.Digest]*token.Claims
	down  error
	asked int
}

func (l *counter) Opaque(_ context.Context, d token.Digest) (*token.Claims, error) {
	l.asked++
	if l.down != nil {
		return nil, l.down
	}
	if c, ok := l.known[d]; ok {
		return c, nil
	}
	return nil, token.ErrUnknown
}

const someToken = "8ab9812c-1076-47f0-9e4a-6d48280ec524"

func opaqueScene(t *testing.T) (*scene, *counter, *gate.Gate) {
	s := newScene(t)
	l := &counter{known: map[token.Digest]*token.Claims{token.Sum(someToken): {
		Issuer: issuer, Subject: "alice", Audience: []string{"shop"}, Scopes: []string{"orders:read"}, ClientID: "shop", ID: "jti-alice",
		IssuedAt: s.now.Unix(), NotBefore: s.now.Unix(), Expires: s.now.Unix() + 300, All: map[string]any{"sub": "alice"},
	}}}
	return s, l, s.gate(t, gate.Config{Opaque: l, Scopes: []string{"orders:read"}})
}

func TestOpaqueTokenIsLookedUpOnce(t *testing.T) {
	s, l, g := opaqueScene(t)
	for range 3 {
		pass, err := g.Check(request(someToken), s.now)
		if err != nil || pass.Claims.Subject != "alice" {
			t.Fatalf("%v", err)
		}
		s.cache.Wait()
	}
	if l.asked != 1 {
		t.Errorf("looked up %d times", l.asked)
	}
	if _, err := g.Check(request(someToken), s.now.Add(300*time.Second)); refusal(t, err).Status != http.StatusUnauthorized {
		t.Error("accepted after its lifetime")
	}
	s.revoked.tokens["jti-alice"] = true
	s.revoked.generation++
	if _, err := g.Check(request(someToken), s.now); refusal(t, err).Status != http.StatusUnauthorized {
		t.Error("accepted after its revocation")
	}
}

func TestOpaqueTokensThatDoNotOpen(t *testing.T) {
	s, l, g := opaqueScene(t)
	for name, raw := range map[string]string{
		"never issued":          "92fe3c7a-f8ad-4dc3-b0c4-c0281c1fa560",
		"A40 truncated":         someToken[:35],
		"A40 changed":           someToken[:35] + "5",
		"upper case":            "8AB9812C-1076-47F0-9E4A-6D48280EC524",
		"no dashes":             "8ab9812c107647f09e4a6d48280ec5240000",
		"with a space, no dash": "8ab9812c 1076-47f0-9e4a-6d48280ec524",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := g.Check(request(raw), s.now); refusal(t, err).Status != http.StatusUnauthorized {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("of an issuer that this gate does not trust", func(t *testing.T) {
		l.known[token.Sum(someToken)].Issuer = "https://other.example"
		if _, err := g.Check(request(someToken), s.now); refusal(t, err).Status != http.StatusUnauthorized {
			t.Errorf("%v", err)
		}
	})
	t.Run("where nothing is looked up", func(t *testing.T) {
		if _, err := s.gate(t, gate.Config{}).Check(request(someToken), s.now); refusal(t, err).Status != http.StatusUnauthorized {
			t.Errorf("%v", err)
		}
	})
}

// TestStoreThatCannotAnswerIsNotABadToken: a client throws a refused token away.
func TestStoreThatCannotAnswerIsNotABadToken(t *testing.T) {
	s, l, g := opaqueScene(t)
	l.down = errors.New("disk on fire")
	_, err := g.Check(request(someToken), s.now)
	if refusal(t, err).Status != http.StatusServiceUnavailable {
		t.Fatalf("%v", err)
	}
	l.down = nil
	if _, err := g.Check(request(someToken), s.now); err != nil {
		t.Errorf("after it came back: %v", err)
	}
}
