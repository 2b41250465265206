package gate_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

func TestRevokedTokenIsRefusedAtOnce(t *testing.T) {
	for name, revoke := range map[string]func(*list){
		"the token":  func(l *list) { l.tokens["jti-alice"] = true },
		"the client": func(l *list) { l.clients["shop"] = true },
	} {
		s := newScene(t)
		g := s.gate(t, gate.Config{})
		raw := s.sign(t, "alice")
		for range 3 {
			if err := s.again(t, g, raw); err != nil {
				t.Fatal(err)
			}
		}
		if asked := s.revoked.asked.Load(); asked != 1 {
			t.Errorf("asked %d times while nothing was revoked", asked)
		}
		revoke(s.revoked)
		s.revoked.generation++
		err := s.again(t, g, raw)
		wantReason(t, err, oauth.RevokedToken)
		if c := refusal(t, err).Claims; c == nil || c.Subject != "alice" {
			t.Errorf("%s: the log does not learn whose token it was: %+v", name, c)
		}
		wantReason(t, s.again(t, g, raw), oauth.RevokedToken)
	}
}

// Generations of two lists are not comparable: after a reload the client list
// is another one, and counts from where it likes.
func TestRevocationsOfAnotherConfigurationAreAskedAnew(t *testing.T) {
	s := newScene(t)
	raw := s.sign(t, "alice")
	if err := s.again(t, s.gate(t, gate.Config{}), raw); err != nil {
		t.Fatal(err)
	}
	s.revoked = &list{clients: map[string]bool{"shop": true}} // the same generation
	wantReason(t, s.again(t, s.gate(t, gate.Config{}), raw), oauth.RevokedToken)
}

// The cache outlives the configuration that filled it, and may not outvote the next.
func TestCachedTokenOpensNothingThatItsIssuerNoLongerDoes(t *testing.T) {
	s := newScene(t)
	raw := s.sign(t, "alice")
	warm := s.gate(t, gate.Config{})
	for range 2 {
		if err := s.again(t, warm, raw); err != nil {
			t.Fatal(err)
		}
	}
	stranger := newScene(t)
	twin := newTwin(t, token.ES256, s.key.ID)
	embedded := func(change func(*gate.Issuer)) gate.Issuer {
		i := s.embedded()
		change(&i)
		return i
	}
	for _, c := range []struct {
		name   string
		issuer gate.Issuer
		want   oauth.Reason
	}{
		{"another identifier", embedded(func(i *gate.Issuer) { i.Identifier = "https://other.example" }), gate.WrongIssuer},
		{"other keys", embedded(func(i *gate.Issuer) { i.Keys = stranger.ring }), gate.UnknownKey},
		{"another key of that id", embedded(func(i *gate.Issuer) { i.Keys = token.NewRing([]*token.Key{twin}) }), gate.WrongSignature},
		{"no keys", embedded(func(i *gate.Issuer) { i.Keys = token.NewRing(nil) }), gate.UnknownKey},
		{"another audience", embedded(func(i *gate.Issuer) { i.Audiences = []string{"billing"} }), gate.WrongAudience},
		{"foreign now, for another audience", gate.Issuer{Identifier: issuer, Keys: s.ring, Audiences: []string{"billing"}}, gate.WrongAudience},
	} {
		g, err := gate.New(gate.Config{Issuers: []gate.Issuer{c.issuer}}, s.cache)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(c.name, func(t *testing.T) { wantReason(t, s.again(t, g, raw), c.want) })
	}
	if err := s.again(t, warm, raw); err != nil {
		t.Errorf("the first gate, still: %v", err)
	}
}

// keyring is keys that change, as an issuer's do.
type keyring struct{ ring *token.Ring }

func (k *keyring) Key(kid string) (token.Public, bool) { return k.ring.Key(kid) }

func TestRemovedKeyOpensNothing(t *testing.T) {
	s := newScene(t)
	keys := &keyring{s.ring}
	i := s.embedded()
	i.Keys = keys
	g, err := gate.New(gate.Config{Issuers: []gate.Issuer{i}}, s.cache)
	if err != nil {
		t.Fatal(err)
	}
	raw := s.sign(t, "alice")
	for range 2 {
		if err := s.again(t, g, raw); err != nil {
			t.Fatal(err)
		}
	}
	keys.ring = token.NewRing(nil)
	wantReason(t, s.again(t, g, raw), gate.UnknownKey)
}

func TestDialectsOfTheEmbeddedIssuerShareKeys(t *testing.T) {
	s := newScene(t)
	idaas := s.embedded()
	idaas.Identifier += "/api/v1/oauth2"
	g := s.gate(t, gate.Config{Issuers: []gate.Issuer{idaas}})
	for _, iss := range []string{issuer, idaas.Identifier} {
		a := s.access("alice")
		a.Issuer = iss
		r := request(s.signed(t, a))
		if err := through(g, r, s.now); err != nil || r.Header.Get("X-Auth-Issuer") != iss {
			t.Errorf("%s: %v, %q", iss, err, r.Header.Get("X-Auth-Issuer"))
		}
	}
	a := s.access("alice")
	a.Issuer = issuer + "/api/v2"
	wantReason(t, through(g, request(s.signed(t, a)), s.now), gate.WrongIssuer)
}

// A partner may publish a key under our key's id, by chance or not.
func TestForeignIssuerWithOurKeyIDDisturbsNobody(t *testing.T) {
	s, partner := newScene(t), newScene(t)
	theirs := newTwin(t, token.ES256, s.key.ID)
	keys := token.NewRing([]*token.Key{theirs})
	g := s.gate(t, gate.Config{Issuers: []gate.Issuer{{Identifier: "https://partner.example", Keys: keys, Audiences: []string{"shop"}, Leeway: 30 * time.Second}}})
	partner.key = theirs
	a := partner.access("bob")
	forged := partner.signed(t, a) // says that it is from us
	a.Issuer = "https://partner.example"
	for name, c := range map[string]struct {
		raw  string
		want oauth.Reason
	}{
		"ours":                     {s.sign(t, "alice"), ""},
		"theirs":                   {partner.signed(t, a), ""},
		"theirs, in our name":      {forged, gate.WrongSignature},
		"a logout token of theirs": {partner.signedText(t, "logout+jwt", "{}"), gate.WrongTokenType},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				err := s.again(t, g, c.raw)
				if c.want != "" {
					wantReason(t, err, c.want)
				} else if err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// newTwin is another key under the same id.
func newTwin(t *testing.T, alg token.Algorithm, id string) *token.Key {
	t.Helper()
	key, err := token.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	der, err := key.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if key, err = token.ParseKey(id, alg, der); err != nil {
		t.Fatal(err)
	}
	return key
}

// The audiences of a gate are our clients; a foreign issuer has a list of its own.
func TestAudiences(t *testing.T) {
	s, partner := newScene(t), newScene(t)
	foreign := gate.Issuer{Identifier: "https://partner.example", Keys: partner.ring, Audiences: []string{"https://api.example.com"}}
	for _, c := range []struct {
		gate    []string
		foreign bool
		aud     string
		passes  bool
	}{
		{nil, false, "shop", true},
		{nil, false, "any-client", true},
		{[]string{"shop", "billing"}, false, "billing", true},
		{[]string{"shop", "billing"}, false, "other", false},
		{[]string{"shop"}, false, "https://api.example.com", false},
		{nil, true, "https://api.example.com", true},
		{[]string{"shop"}, true, "https://api.example.com", true},
		{[]string{"shop"}, true, "shop", false},
		{nil, true, "shop", false},
	} {
		g := s.gate(t, gate.Config{Audiences: c.gate, Issuers: []gate.Issuer{foreign}})
		from, a := s, s.access("alice")
		if c.foreign {
			from, a.Issuer = partner, foreign.Identifier
		}
		a.Audience = c.aud
		if err := through(g, request(from.signed(t, a)), s.now); (err == nil) != c.passes {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// A node that the others are out of reach of cannot say that a token is good, whatever
// it remembers of it.
func TestGateThatCannotKnowRefuses(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{})
	raw := s.sign(t, "alice")
	if err := s.again(t, g, raw); err != nil {
		t.Fatal(err)
	}
	s.revoked.behind = true
	// Another node may have made a key since.
	made, err := token.Generate(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := s.access("bob").Payload()
	if err != nil {
		t.Fatal(err)
	}
	unheard, err := made.Sign(token.TypeJWT, payload)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{raw, s.sign(t, "bob"), unheard} {
		err := s.again(t, g, token)
		wantReason(t, err, oauth.StoreUnavailable)
		if r := refusal(t, err); r.Status != http.StatusServiceUnavailable || r.Challenge != "" {
			t.Errorf("%d %s", r.Status, r.Challenge)
		}
	}
	// It hears of revocations, and has not read the keys.
	s.revoked.behind, s.revoked.unread = false, true
	for _, good := range []string{raw, s.sign(t, "bob")} {
		if err := s.again(t, g, good); err != nil {
			t.Error(err)
		}
	}
	wantReason(t, s.again(t, g, unheard), oauth.StoreUnavailable)
	s.revoked.unread = false
	if err := s.again(t, g, raw); err != nil {
		t.Error(err)
	}
	wantReason(t, s.again(t, g, unheard), gate.UnknownKey)
}
