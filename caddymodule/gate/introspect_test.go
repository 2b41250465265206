package gate_test

import (
	"context"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// oracle is a foreign issuer that is asked about opaque tokens.
type oracle struct {
	good   map[string]string // token -> claims
	down   bool
	asked  int
	proven int // of those asked
	from   netip.Addr
}

func (o *oracle) Introspect(_ context.Context, raw string, _ token.Digest, from netip.Addr, proven bool, now time.Time) (remote.Answer, error) {
	o.asked++
	o.from = from
	if proven {
		o.proven++
	}
	if o.down {
		return remote.Answer{}, new(remote.Failure)
	}
	text, ok := o.good[raw]
	if !ok {
		return remote.Answer{}, token.ErrUnknown
	}
	claims, err := token.ReadIntrospection([]byte(text), partnerIssuer, now)
	return remote.Answer{Claims: claims, Until: now.Add(10 * time.Second)}, err
}

const theirToken = "ya29.a0AfH6SMBx-opaque_to~everybody/else+1=="

func oracleScene(t *testing.T, c gate.Config) (*scene, *oracle, *gate.Gate) {
	s := newScene(t)
	o := &oracle{good: map[string]string{theirToken: `{"active":true,"sub":"bob","aud":"shop","scope":"orders:read","client_id":"app"}`}}
	c.Issuers = append(c.Issuers, gate.Issuer{Identifier: partnerIssuer, Keys: token.NewRing(nil), Audiences: []string{"shop"}, Asked: o})
	return s, o, s.gate(t, c)
}

func TestForeignOpaqueTokenIsAskedAboutEveryTenSeconds(t *testing.T) {
	s, o, g := oracleScene(t, gate.Config{Scopes: []string{"orders:read"}})
	for second := range 25 {
		pass, err := g.Check(request(theirToken), s.now.Add(time.Duration(second)*time.Second))
		if err != nil || pass.Claims.Subject != "bob" || pass.Claims.Issuer != partnerIssuer {
			t.Fatalf("second %d: %v", second, err)
		}
		s.cache.Wait()
	}
	if o.asked != 3 || o.proven != 2 {
		t.Errorf("asked %d times, %d of them about one that was good", o.asked, o.proven)
	}
	at := s.now.Add(40 * time.Second)
	o.down = true
	_, err := g.Check(request(theirToken), at)
	if wantReason(t, err, gate.SilentIssuer); refusal(t, err).Status != http.StatusServiceUnavailable {
		t.Errorf("%v", err)
	}
	o.down, o.good = false, nil
	_, err = g.Check(request(theirToken), at)
	wantReason(t, err, gate.UnknownToken)
	s.cache.Wait()
	before := o.proven
	if _, err = g.Check(request(theirToken), at); o.proven != before {
		t.Error("what its issuer has taken back still counts as good once")
	}
	wantReason(t, err, gate.UnknownToken)
}

// Who asks is the client as the server makes it out, not the connection's other end.
func TestForeignIssuerIsAskedOnBehalfOfTheClient(t *testing.T) {
	for peer, want := range map[string]netip.Addr{
		"198.51.100.7": netip.MustParseAddr("198.51.100.7"), "2001:db8::1": netip.MustParseAddr("2001:db8::1"), "@": {}, "": {},
	} {
		s, o, g := oracleScene(t, gate.Config{Peer: func(*http.Request) string { return peer }})
		if _, err := g.Check(request(theirToken), s.now); err != nil || o.from != want {
			t.Errorf("%q: on behalf of %v: %v", peer, o.from, err)
		}
	}
	s, o, g := oracleScene(t, gate.Config{})
	r := request(theirToken)
	r.RemoteAddr = "[2001:db8::2]:4711"
	if _, err := g.Check(r, s.now); err != nil || o.from != netip.MustParseAddr("2001:db8::2") {
		t.Errorf("on behalf of %v: %v", o.from, err)
	}
}

// TestIntrospectedTokenIsJudgedLikeAnother: what the issuer calls active is not
// yet for this gate, and asking again changes nothing.
func TestIntrospectedTokenIsJudgedLikeAnother(t *testing.T) {
	s, o, g := oracleScene(t, gate.Config{})
	for claims, want := range map[string]string{
		`"aud":"other"`:                       string(gate.WrongAudience),
		`"aud":"shop","nbf":2000000000`:       string(gate.NotYetValid),
		`"aud":"shop","iss":"` + issuer + `"`: string(gate.WrongIssuer),
		`"aud":["other","shop"]`:              "",
	} {
		raw := "opaque-" + string(token.Sum(claims)[0]%26+'a') + "x"
		o.good = map[string]string{raw: `{"active":true,"sub":"bob","client_id":"app",` + claims + `}`}
		o.asked = 0
		for range 3 {
			_, err := g.Check(request(raw), s.now)
			s.cache.Wait()
			switch {
			case want == "" && err != nil:
				t.Errorf("%s: %v", claims, err)
			case want != "":
				if r := refusal(t, err); string(r.Reason) != want || r.Status != http.StatusUnauthorized {
					t.Errorf("%s: %v", claims, err)
				}
			}
		}
		if o.asked != 1 && want != string(gate.WrongIssuer) {
			t.Errorf("%s: asked %d times", claims, o.asked)
		}
	}
}

// TestWhatIsShownToTheForeignIssuer: nothing that another one's secret could be.
func TestWhatIsShownToTheForeignIssuer(t *testing.T) {
	for name, c := range map[string]struct {
		raw   func(*scene) string
		shown bool
	}{
		"our JWT":                            {func(s *scene) string { return s.sign(t, "alice") }, false},
		"our opaque token":                   {func(*scene) string { return someToken }, false},
		"a stranger's JWT":                   {func(*scene) string { return newScene(t).sign(t, "alice") }, false},
		"A34 an encrypted token":             {func(*scene) string { return "eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA" }, false},
		"a broken JWT":                       {func(*scene) string { return "eyJhbGciOiJFUzI1NiJ9.e30." }, false},
		"anything else":                      {func(*scene) string { return theirToken }, true},
		"what has the form of ours, unknown": {func(*scene) string { return "92fe3c7a-f8ad-4dc3-b0c4-c0281c1fa560" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			ours := &counter{known: map[token.Digest]*token.Claims{}}
			s, o, g := oracleScene(t, gate.Config{Opaque: ours})
			ours.known[token.Sum(someToken)] = &token.Claims{Issuer: issuer, Subject: "alice", Expires: s.now.Unix() + 9, All: map[string]any{}}
			_, _ = g.Check(request(c.raw(s)), s.now)
			if (o.asked > 0) != c.shown {
				t.Errorf("shown: %v", o.asked > 0)
			}
		})
	}
}

// The cache is shared: what one gate was told, a gate that asks nobody, or
// somebody else, does not take over.
func TestAnswerCountsWhereTheSameIssuerIsAsked(t *testing.T) {
	s, _, g := oracleScene(t, gate.Config{})
	if _, err := g.Check(request(theirToken), s.now); err != nil {
		t.Fatal(err)
	}
	s.cache.Wait()
	other := &oracle{}
	for name, i := range map[string]gate.Issuer{
		"asks nobody":   {Identifier: partnerIssuer, Keys: token.NewRing(nil), Audiences: []string{"shop"}},
		"asks somebody": {Identifier: partnerIssuer, Keys: token.NewRing(nil), Audiences: []string{"shop"}, Asked: other},
		"is ours":       {Identifier: partnerIssuer, Keys: token.NewRing(nil), Audiences: []string{"shop"}, Embedded: true},
	} {
		if _, err := s.gate(t, gate.Config{Issuers: []gate.Issuer{i}}).Check(request(theirToken), s.now); err == nil {
			t.Errorf("a gate that %s lets it in", name)
		}
	}
	if other.asked != 1 {
		t.Error("its own was not asked")
	}
}

func TestTwoIssuersAreNotAskedAboutOneToken(t *testing.T) {
	s := newScene(t)
	asked := func(name string) gate.Issuer {
		return gate.Issuer{Identifier: name, Keys: token.NewRing(nil), Audiences: []string{"shop"}, Asked: &oracle{}}
	}
	if _, err := gate.New(gate.Config{Issuers: []gate.Issuer{asked("https://a.example"), asked("https://b.example")}}, s.cache); err == nil {
		t.Error("each of them is shown the other's tokens")
	}
}

// What was good elsewhere a moment ago is not looked for at home again.
func TestTokenOfAnotherIssuerIsLookedForAtHomeOnce(t *testing.T) {
	home := new(counter)
	s, o, g := oracleScene(t, gate.Config{Opaque: home})
	o.good[someToken] = o.good[theirToken]
	for second := range 25 {
		if _, err := g.Check(request(someToken), s.now.Add(time.Duration(second)*time.Second)); err != nil {
			t.Fatalf("second %d: %v", second, err)
		}
		s.cache.Wait()
	}
	if home.asked != 1 || o.asked != 3 {
		t.Errorf("looked for %d times, and asked about %d times", home.asked, o.asked)
	}
}
