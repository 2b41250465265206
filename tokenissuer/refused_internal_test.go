package tokenissuer

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/grant"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// revoking is an issuer whose clients are revoked.
type revoking struct {
	*testing.T
	*Issuer
}

func newRevoking(t *testing.T, state *State) revoking {
	t.Helper()
	i, err := New(Config{
		Issuer: "https://auth.example.com", SigningAlgorithm: "ES256",
		Clients: []Client{
			{ID: "robot", Type: "m2m", Grants: []string{"client_credentials"}, Secrets: []string{operatorsSecret}, Scopes: []string{"orders:read"}},
			{ID: "crawler", Type: "m2m", Grants: []string{"client_credentials"}, Secrets: []string{operatorsSecret}, Scopes: []string{"orders:read"}, AccessToken: "opaque"},
			{
				ID: "wiki", Type: "spa", Grants: []string{"authorization_code", "refresh_token"}, Scopes: []string{"openid"},
				RedirectURIs: []string{"https://wiki.example.com/"},
			},
		},
	}, state)
	if err != nil {
		t.Fatal(err)
	}
	account := store.Account{ID: "ann", State: store.Active}
	if err := state.store.Apply(t.Context(), state.now(), store.PutAccount{Account: account}); err != nil {
		t.Fatal(err)
	}
	return revoking{t, i}
}

func (r revoking) asked(ctx context.Context, client string, form url.Values) (*minted, error) {
	return r.earnInside(r.inside(ctx, netip.Addr{}, "token"), client, form)
}

// earns wants tokens, and good ones.
func (r revoking) earns(client string, form url.Values) *minted {
	r.Helper()
	m, err := r.asked(r.Context(), client, form)
	if err != nil {
		r.Errorf("%s earns nothing: %v", client, err)
		return nil
	}
	if _, err := r.verify(r.Context(), m.access, r.Now()); err != nil {
		r.Errorf("%s was given a token that is refused: %v", client, err)
	}
	return m
}

// signedIn is a code of a sign-in that has just been, in a session of its own.
func (r revoking) signedIn() url.Values { return r.signedInto(rand.Text()) }

func (r revoking) signedInto(session string) url.Values {
	r.Helper()
	raw, now := grant.NewCode(), r.Now()
	begins := store.PutSession{Session: store.Session{Hash: grant.HashOf(raw), ID: session, Account: "ann", AuthTime: now, Created: now, Seen: now, Expires: now.Add(time.Hour)}}
	code := store.Code{
		Hash: grant.HashOf(raw), Client: "wiki", Account: "ann", RedirectURI: "https://wiki.example.com/", Challenge: challenge,
		Session: session, Scopes: []string{"openid"}, AuthTime: now, Expires: now.Add(time.Minute),
	}
	if err := r.state.store.Apply(r.Context(), now, begins, store.PutCode{Code: code}); err != nil {
		r.Fatal(err)
	}
	return url.Values{"grant_type": {"authorization_code"}, "code": {raw}, "redirect_uri": {code.RedirectURI}, "code_verifier": {verifier}}
}

// The example of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

var ownCredentials = url.Values{"grant_type": {"client_credentials"}}

// revoke is gatehouse issuer client revoke.
func (r revoking) revoke(client string) {
	r.Helper()
	if err := r.RevokeClient(r.Context(), client); err != nil {
		r.Fatal(err)
	}
}

// refuse is a revocation whose second half, the end of the sign-ins, is to come.
func (r revoking) refuse(client string, ahead time.Duration) {
	r.Helper()
	if err := r.state.store.Apply(r.Context(), r.Now(), store.RefuseClient{Client: client, Longest: time.Hour, Ahead: ahead}); err != nil {
		r.Error(err)
	}
}

// overBoth runs a test on an issuer alone, and on a node of several.
func overBoth(t *testing.T, test func(revoking)) {
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		test(newRevoking(t, openState(t, func(err error) { t.Error(err) })))
	})
	t.Run("a node", func(t *testing.T) {
		t.Parallel()
		test(newRevoking(t, startNode(t, postgrestest.URL(t), "")))
	})
}

// TestWhatARevokedClientIsGivenNextIsGood: it is refused by the second, and on several nodes
// for two more. What it earns meanwhile says the one after.
func TestWhatARevokedClientIsGivenNextIsGood(t *testing.T) {
	t.Parallel()
	overBoth(t, func(r revoking) {
		var all sync.WaitGroup
		for _, client := range []string{"robot", "crawler"} {
			r.revoke(client)
			all.Go(func() { r.earns(client, ownCredentials) })
		}
		r.revoke("wiki")
		m := r.earns("wiki", r.signedIn())
		all.Wait()
		if m == nil {
			return
		}
		var identity struct {
			Issued int64 `json:"iat"`
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(m.id, ".")[1])
		if err == nil {
			err = json.Unmarshal(payload, &identity)
		}
		if err != nil || r.state.revoked.RevokedByClient("wiki", identity.Issued) {
			r.Errorf("its ID token is of %d, %v", identity.Issued, err)
		}
		// Its sign-ins were ended, and nothing is to be had for what is left of them.
		r.revoke("wiki")
		if _, err := r.asked(r.Context(), "wiki", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {m.refresh}}); err == nil || oauth.AsError(err).Code != oauth.InvalidGrant {
			r.Errorf("a sign-in of before: %v", err)
		}
	})
}

// TestFiftyThatAskARevokedClientsTokenAtOnce wait beside each other.
func TestFiftyThatAskARevokedClientsTokenAtOnce(t *testing.T) {
	t.Parallel()
	overBoth(t, func(r revoking) {
		const people = 10 // one may have a few codes at a time
		r.revoke("wiki")
		var all sync.WaitGroup
		var codes []url.Values
		for range people {
			codes = append(codes, r.signedIn())
		}
		r.refuse("wiki", r.Early())
		r.revoke("robot")
		for _, code := range codes {
			all.Go(func() { r.earns("wiki", code) })
		}
		for range 50 - people {
			all.Go(func() { r.earns("robot", ownCredentials) })
		}
		all.Wait()
	})
}

// TestWaitForARevokedClientLosesNothing: whoever goes away meanwhile comes with the same
// proof again.
func TestWaitForARevokedClientLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, waitsAndLosesNothing)
}

func waitsAndLosesNothing(t *testing.T) {
	r := newRevoking(t, openState(t, func(err error) { t.Error(err) }))
	form := r.signedIn()
	for _, name := range []string{"authorization_code", "refresh_token"} {
		r.refuse("wiki", 2*time.Second)
		proves := r.grants[name]
		waiting, gone := context.WithCancel(r.Context())
		r.grants[name] = func(ctx context.Context, q grant.Request) (*grant.Authorization, error) {
			defer gone() // what it shows was looked at: it has to wait
			return proves(ctx, q)
		}
		if _, err := r.asked(waiting, "wiki", form); err == nil || oauth.AsError(err).Code != oauth.TemporarilyUnavailable {
			r.Errorf("%s, and gone before the time: %v", name, err)
		}
		r.grants[name] = proves
		m := r.earns("wiki", form)
		if m == nil {
			return
		}
		form = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {m.refresh}}
	}
}

// TestClientThatIsRevokedAgainAndAgain has nobody wait without end, and nothing that is
// refused is given out; one that is refused for longer is told so at once.
func TestClientThatIsRevokedAgainAndAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, isToldWhenToComeBack)
}

func isToldWhenToComeBack(t *testing.T) {
	r := newRevoking(t, openState(t, func(err error) { t.Error(err) }))
	later := func(client string, least time.Duration) {
		r.Helper()
		_, err := r.asked(r.Context(), client, ownCredentials)
		if err == nil {
			r.Error("a token was given out")
		} else if e := oauth.AsError(err); e.Code != oauth.TemporarilyUnavailable || e.Reason != oauth.RevokedClient || e.Retry < least {
			r.Errorf("%v, to come again in %s", err, e.Retry)
		}
	}
	r.refuse("crawler", time.Hour)
	later("crawler", 59*time.Minute)

	done, stopped := make(chan struct{}), make(chan struct{})
	r.refuse("robot", 2*time.Second)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			case <-time.After(200 * time.Millisecond):
				r.refuse("robot", 2*time.Second)
			}
		}
	}()
	later("robot", time.Nanosecond)
	close(done)
	<-stopped
	r.earns("robot", ownCredentials)
}

// TestNextSignInOfAnAccountIsGoodAtOnce: what ends an account's or a session's sign-ins
// names their tokens, and none that comes later in that second.
func TestNextSignInOfAnAccountIsGoodAtOnce(t *testing.T) {
	t.Parallel()
	overBoth(t, func(r revoking) {
		for name, ends := range map[string]store.Write{
			"account":              store.RevokeAccount{Account: "ann"},
			"session":              store.RevokeSession{ID: "session", All: true},
			"client of an account": store.RevokeClientOf{Account: "ann", Client: "wiki"},
			"tokens of an account": store.RevokeTokensOf{Account: "ann"},
		} {
			before := r.earns("wiki", r.signedInto(name))
			if before == nil {
				return
			}
			if err := r.state.store.Apply(r.Context(), r.Now(), ends); err != nil {
				r.Fatal(err)
			}
			if _, err := r.verify(r.Context(), before.access, r.Now()); err == nil {
				r.Errorf("%s: the token of before is good", name)
			}
			r.earns("wiki", r.signedIn())
		}
	})
}
