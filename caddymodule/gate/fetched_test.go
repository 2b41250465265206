package gate_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

const partnerIssuer = "https://partner.example"

// arriving are keys of an issuer elsewhere.
type arriving struct {
	keyring
	next  *token.Ring // there after the next fetch; nil: nobody answers
	asked int
}

func (k *arriving) Await(context.Context, string) error {
	k.asked++
	if k.next == nil {
		return errors.New("no answer in time")
	}
	k.ring = k.next
	return nil
}

func partnerScene(t *testing.T) (ours, theirs *scene, keys *arriving, g *gate.Gate) {
	ours, theirs = newScene(t), newScene(t)
	keys = &arriving{keyring: keyring{token.NewRing(nil)}, next: theirs.ring}
	g = ours.gate(t, gate.Config{Issuers: []gate.Issuer{{Identifier: partnerIssuer, Keys: keys, Audiences: []string{"shop"}}}})
	return ours, theirs, keys, g
}

func (s *scene) signFor(t *testing.T, issuer string) string {
	a := s.access("bob")
	a.Issuer = issuer
	return s.signed(t, a)
}

func TestKeyThatIsNotHereYetIsWaitedForOnce(t *testing.T) {
	ours, theirs, keys, g := partnerScene(t)
	raw := theirs.signFor(t, partnerIssuer)
	for range 3 {
		if _, err := g.Check(request(raw), ours.now); err != nil {
			t.Fatal(err)
		}
		ours.cache.Wait()
	}
	if keys.asked != 1 {
		t.Errorf("asked %d times", keys.asked)
	}
	// One that leaves the set opens nothing any more, cached or not.
	keys.ring, keys.next = token.NewRing(nil), token.NewRing(nil)
	_, err := g.Check(request(raw), ours.now)
	wantReason(t, err, gate.UnknownKey)
}

// TestIssuerThatCannotBeAskedIsNotABadToken: who is told 401 throws the token away.
func TestIssuerThatCannotBeAskedIsNotABadToken(t *testing.T) {
	ours, theirs, keys, g := partnerScene(t)
	keys.next = nil
	_, err := g.Check(request(theirs.signFor(t, partnerIssuer)), ours.now)
	wantReason(t, err, gate.SilentIssuer)
	if r := refusal(t, err); r.Status != http.StatusServiceUnavailable || r.Challenge != "" {
		t.Errorf("%d %q", r.Status, r.Challenge)
	}
}

// TestOnlyTheIssuerThatATokenNamesIsAskedForItsKey: what strangers send in the
// name of others causes no fetch, and nobody's silence harms another's tokens.
func TestOnlyTheIssuerThatATokenNamesIsAskedForItsKey(t *testing.T) {
	ours, stranger, keys, g := partnerScene(t)
	keys.next = nil
	for name, c := range map[string]struct {
		raw   string
		want  oauth.Reason
		asked int
	}{
		"ours":                                 {ours.sign(t, "alice"), "", 0},
		"a stranger's in our name":             {stranger.sign(t, "alice"), gate.UnknownKey, 0},
		"a stranger's in nobody's name":        {stranger.signFor(t, "https://nobody.example"), gate.UnknownKey, 0},
		"a stranger's without a name":          {stranger.signFor(t, ""), gate.UnknownKey, 0},
		"a stranger's in the partner's name":   {stranger.signFor(t, partnerIssuer), gate.SilentIssuer, 1},
		"the partner's name among other names": {stranger.signedText(t, token.TypeJWT, `{"iss":["`+partnerIssuer+`"]}`), gate.UnknownKey, 0},
		"a payload that is no JSON":            {stranger.signedText(t, token.TypeJWT, `{"iss":"`+partnerIssuer+`"`), gate.UnknownKey, 0},
		// Issuers of one house may share their keys, so the partner may have it too.
		"ours in the partner's name": {ours.signFor(t, partnerIssuer), gate.SilentIssuer, 1},
	} {
		t.Run(name, func(t *testing.T) {
			keys.asked = 0
			if _, err := g.Check(request(c.raw), ours.now); c.want != "" {
				wantReason(t, err, c.want)
			} else if err != nil {
				t.Error(err)
			}
			if keys.asked != c.asked {
				t.Errorf("asked %d times", keys.asked)
			}
		})
	}
}

// G01: while strangers have keys fetched, and their issuer has not answered yet, good tokens
// are judged by the keys that there are. The issuer shows them itself before it answers:
// whoever waited for that fetch would wait for itself.
func TestGoodTokensDoNotWaitForAFloodsFetch(t *testing.T) {
	ours, theirs := newScene(t), newScene(t)
	var g *gate.Gate
	var fetches, answered, shown atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if fetches.Add(1) == 2 {
			for range 300 {
				for name, raw := range map[string]string{"theirs": theirs.signFor(t, partnerIssuer), "ours": ours.sign(t, "alice")} {
					if _, err := g.Check(request(raw), ours.now); err != nil {
						t.Errorf("%s: %v", name, err)
					}
					shown.Add(1)
				}
			}
			if n := answered.Load(); n != 0 {
				t.Errorf("%d strangers were answered, and nobody has said whether they are good", n)
			}
		}
		_, _ = w.Write(theirs.ring.JWKS(time.Unix(0, 0)))
	}))
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	synctest.Test(t, func(t *testing.T) {
		keys, err := remote.OpenKeys(remote.KeysConfig{Issuer: partnerIssuer, JWKSURI: server.URL + "/keys", Roots: roots})
		if err != nil {
			t.Fatal(err)
		}
		defer keys.Close()
		g = ours.gate(t, gate.Config{Issuers: []gate.Issuer{{Identifier: partnerIssuer, Keys: keys, Audiences: []string{"shop"}}}})
		time.Sleep(time.Minute) // the keys are there, and may be asked for again
		var flood sync.WaitGroup
		for range 300 {
			flood.Go(func() {
				key, err := token.Generate(token.ES256)
				if err != nil {
					t.Error(err)
					return
				}
				stranger := &scene{key: key, now: theirs.now}
				_, err = g.Check(request(stranger.signFor(t, partnerIssuer)), ours.now)
				wantReason(t, err, gate.UnknownKey)
				answered.Add(1)
			})
		}
		flood.Wait()
	})
	if fetches.Load() != 2 || shown.Load() != 600 {
		t.Errorf("%d fetches, %d good tokens meanwhile", fetches.Load(), shown.Load())
	}
}
