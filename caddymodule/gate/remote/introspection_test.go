package remote_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

const clientSecret = "s3cret/with+and%:é"

var now = time.Unix(1_800_000_000, 0)

// desk is an introspection endpoint.
type desk struct {
	*remote.Introspection
	asked  atomic.Int64
	answer atomic.Pointer[http.HandlerFunc]
	told   sync.Map // remote.Result -> true
	down   atomic.Int32
	back   atomic.Int32
}

// newDesk is waited for as long as it takes: a busy machine must not look like one
// that is down. In a bubble with its desk a test has all the time there is: no time
// passes where somebody waits for the network, and a server always does.
func newDesk(t testing.TB, answer http.HandlerFunc) *desk {
	return newHastyDesk(t, answer, time.Minute)
}

func newHastyDesk(t testing.TB, answer http.HandlerFunc, timeout time.Duration) *desk {
	t.Helper()
	d := &desk{}
	d.answers(answer)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.asked.Add(1)
		(*d.answer.Load())(w, r)
	}))
	t.Cleanup(server.Close)
	s := site{Server: server}
	var err error
	d.Introspection, err = remote.NewIntrospection(remote.IntrospectionConfig{
		Issuer: "https://login.partner.example", URL: server.URL + "/introspect", ClientID: "gate:1", ClientSecret: clientSecret,
		Roots: s.roots(), Observe: d.observe, Timeout: timeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func (d *desk) answers(answer http.HandlerFunc) { d.answer.Store(&answer) }

func (d *desk) observe(e remote.Asked) {
	d.told.Store(e.Result, true)
	if e.Down {
		d.down.Add(1)
	}
	if e.Back {
		d.back.Add(1)
	}
}

func (d *desk) ask(raw string, proven bool, now time.Time) (remote.Answer, error) {
	return d.Introspect(context.Background(), raw, token.Sum(raw), netip.Addr{}, proven, now)
}

func silent(err error) bool {
	_, ok := errors.AsType[*remote.Failure](err)
	return ok
}

const good = `{"active":true,"iss":"https://login.partner.example","sub":"anna","aud":"https://api.example.com","scope":"read write","client_id":"app","exp":1800000100}`

func TestIntrospectionAsksAsRFC7662Says(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, func(w http.ResponseWriter, r *http.Request) {
			id, secret, err := oauth.ParseBasic(r.Header.Get("Authorization"))
			if err != nil || id != "gate:1" || secret != clientSecret {
				t.Errorf("%q %q %v", id, secret, err)
			}
			if r.Method != http.MethodPost || r.URL.RawQuery != "" || r.FormValue("token") != "opaque+/~x=" || r.FormValue("token_type_hint") != "access_token" {
				t.Errorf("%s %s %v", r.Method, r.URL, r.Form)
			}
			says(good)(w, r)
		})
		got, err := d.ask("opaque+/~x=", false, now)
		if err != nil {
			t.Fatal(err)
		}
		c := got.Claims
		if c.Subject != "anna" || c.ClientID != "app" || strings.Join(c.Scopes, ",") != "read,write" || c.Expires != 1800000100 || !c.Foreign() {
			t.Errorf("%+v", c)
		}
		if left := got.Until.Sub(now); left != 10*time.Second {
			t.Errorf("asked again after %v", left)
		}
		if _, active := c.All["active"]; active {
			t.Error("active is no claim")
		}
	})
}

// What is answered is either the issuer's word on the token or nonsense, of
// which the token's owner must not suffer.
func TestAnswersThatDoNotOpen(t *testing.T) {
	with := func(members string) http.HandlerFunc {
		return says(`{"active":true,"iss":"https://login.partner.example","sub":"anna","aud":"api","client_id":"app"` + members + `}`)
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   error // nil: nobody can say
	}{
		"inactive":                {says(`{"active":false}`), token.ErrUnknown},
		"inactive, with the rest": {says(strings.Replace(good, "true", "false", 1)), token.ErrUnknown},
		"active as text":          {says(strings.Replace(good, "true", `"true"`, 1)), nil},
		"active as a number":      {says(strings.Replace(good, "true", `1`, 1)), nil},
		"active null":             {says(strings.Replace(good, "true", `null`, 1)), nil},
		"active twice":            {says(strings.Replace(good, "{", `{"active":false,`, 1)), nil},
		"Active":                  {says(strings.Replace(good, "active", `Active`, 1)), nil},
		"empty":                   {says(""), nil},
		"{}":                      {says("{}"), nil},
		"a list":                  {says("[" + good + "]"), nil},
		"HTML":                    {html, nil},
		"trailing":                {says(good + "{}"), nil},
		"10 MB":                   {says(`{"active":true,"x":"` + strings.Repeat("x", 10<<20) + `"}`), nil},
		"401":                     {status(401), nil},
		"429":                     {status(429), nil},
		"500":                     {status(500), nil},
		"201":                     {status(201), nil},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, nil},
		"closed":                     {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil},
		"of another issuer":          {says(strings.Replace(good, "partner", "evil", 1)), token.ErrIssuer},
		"without audience":           {says(`{"active":true,"sub":"anna","client_id":"app","scope":"read"}`), token.ErrAudience},
		"audience null":              {says(`{"active":true,"sub":"anna","client_id":"app","aud":null}`), token.ErrAudience},
		"audience empty":             {says(`{"active":true,"sub":"anna","client_id":"app","aud":[]}`), token.ErrMalformed},
		"about nobody":               {says(`{"active":true,"aud":"api","scope":"read"}`), token.ErrMalformed},
		"exp as text":                {with(`,"exp":"1800000100"`), token.ErrMalformed},
		"scope as a number":          {with(`,"scope":7`), token.ErrMalformed},
		"a token that needs proof":   {with(`,"token_type":"DPoP"`), token.ErrType},
		"bound to a key":             {with(`,"cnf":{"jkt":"x"}`), token.ErrType},
		"a refresh token":            {with(`,"token_use":"refresh_token"`), token.ErrType},
		"a refresh token, by typ":    {with(`,"typ":"Refresh"`), token.ErrType},
		"an ID token":                {with(`,"typ":"ID"`), token.ErrType},
		"an ID token, by its hash":   {with(`,"at_hash":"x"`), token.ErrType},
		"token_type that is no text": {with(`,"token_type":["Bearer"]`), token.ErrType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, c.answer)
			_, err := d.ask("opaque", false, now)
			switch {
			case err == nil:
				t.Fatal("it opens")
			case c.want == nil && !silent(err), c.want != nil && !errors.Is(err, c.want):
				t.Errorf("%v", err)
			}
			for _, secret := range []string{clientSecret, "opaque"} {
				if strings.Contains(err.Error(), secret) && err.Error() != token.ErrUnknown.Error() {
					t.Errorf("%q is in %v", secret, err)
				}
			}
		})
	}
}

func TestAnswersThatOpen(t *testing.T) {
	for name, answer := range map[string]string{
		"all of it":                 good,
		"without iss":               strings.Replace(good, `"iss":"https://login.partner.example",`, "", 1),
		"a list of audiences":       strings.Replace(good, `"https://api.example.com"`, `["a","https://api.example.com"]`, 1),
		"a list of scopes":          strings.Replace(good, `"read write"`, `["read","write"]`, 1),
		"Bearer":                    strings.Replace(good, "{", `{"token_type":"Bearer",`, 1),
		"by Keycloak":               strings.Replace(good, "{", `{"token_type":"bearer","typ":"Bearer",`, 1),
		"by Hydra":                  strings.Replace(good, "{", `{"token_type":"Bearer","token_use":"access_token","nbf":null,`, 1),
		"a client's, without a sub": strings.Replace(good, `"sub":"anna"`, `"username":null`, 1),
		"without exp":               strings.Replace(good, `,"exp":1800000100`, "", 1),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newDesk(t, says(answer)).ask("opaque", false, now)
			if err != nil || got.Claims.Issuer != "https://login.partner.example" || got.Claims.Subject == "" || got.Claims.Expires <= now.Unix() {
				t.Fatalf("%+v %v", got.Claims, err)
			}
			if _, said := got.Claims.All["exp"]; said != strings.Contains(answer, "exp") {
				t.Error("a claim that nobody made")
			}
		})
	}
}

func TestEndpointThatHangsIsGivenUp(t *testing.T) {
	d := newHastyDesk(t, func(_ http.ResponseWriter, r *http.Request) { _ = r.ParseForm(); <-r.Context().Done() }, 100*time.Millisecond)
	_, err := d.ask("opaque", false, now)
	if failure, ok := errors.AsType[*remote.Failure](err); !ok || failure.Result != remote.TimedOut {
		t.Errorf("%v", err)
	}
}

// Those that give up begin no second question, and take the answer from nobody.
func TestOneTokenIsOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, finish := make(chan struct{}), make(chan struct{})
		d := newDesk(t, func(w http.ResponseWriter, r *http.Request) {
			begun <- struct{}{}
			<-finish
			says(good)(w, r)
		})
		var first sync.WaitGroup
		first.Go(func() {
			if _, err := d.ask("opaque", false, now); err != nil {
				t.Error(err)
			}
		})
		<-begun
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 99 {
			if _, err := d.Introspect(gone, "opaque", token.Sum("opaque"), netip.Addr{}, false, now); !silent(err) {
				t.Errorf("%v", err)
			}
		}
		close(finish)
		first.Wait()
		if n := d.asked.Load(); n != 1 {
			t.Errorf("%d questions", n)
		}
	})
}

// TestFloodOfOpaqueTokens: 10,000 that nobody issued reach the issuer a few
// hundred times, and those that were good a moment ago are asked about as ever.
func TestFloodOfOpaqueTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var beside, most atomic.Int64
		d := newDesk(t, func(w http.ResponseWriter, r *http.Request) {
			n := beside.Add(1)
			defer beside.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			if strings.HasPrefix(r.FormValue("token"), "good") {
				says(good)(w, r)
				return
			}
			says(`{"active":false}`)(w, r)
		})
		var wg sync.WaitGroup
		var refused, unknown atomic.Int64
		for n := range 10_000 {
			wg.Go(func() {
				switch _, err := d.ask(fmt.Sprint("bad", n), false, now); {
				case silent(err):
					refused.Add(1)
				case errors.Is(err, token.ErrUnknown):
					unknown.Add(1)
				}
			})
		}
		wg.Wait()
		if n := d.asked.Load(); n > 200 || unknown.Load() != n || refused.Load() != 10_000-n {
			t.Errorf("%d questions, %d unknown, %d not asked", n, unknown.Load(), refused.Load())
		}
		if most.Load() > 32 {
			t.Errorf("%d side by side", most.Load())
		}
		if _, err := d.ask("good1", true, now); err != nil {
			t.Errorf("one that was good: %v", err)
		}
		for n := range 20 { // what is left by those for whom there was no room
			_, _ = d.ask(fmt.Sprint("worse", n), false, now)
		}
		if _, err := d.ask("good2", false, now); !silent(err) {
			t.Errorf("a new one must wait, and is not said to be bad: %v", err)
		}
		later := now.Add(10 * time.Second)
		for n := range 1000 { // which give back what they take
			if _, err := d.ask(fmt.Sprint("good", n), false, later); err != nil {
				t.Fatalf("ten seconds later: %v", err)
			}
		}
	})
}

func TestTokenThatIsNoGoodIsRememberedForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, says(`{"active":false}`))
		for range 100 {
			if _, err := d.ask("opaque", false, now); !errors.Is(err, token.ErrUnknown) {
				t.Fatal(err)
			}
		}
		if n := d.asked.Load(); n != 1 {
			t.Errorf("%d questions", n)
		}
		d.answers(says(good))
		if _, err := d.ask("opaque", false, now.Add(3*time.Second)); err != nil {
			t.Errorf("three seconds later: %v", err)
		}
	})
}

func TestEndpointThatFailsIsLeftAloneForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, status(500))
		for n := range 1000 {
			if _, err := d.ask(fmt.Sprint(n), n%2 == 0, now); !silent(err) {
				t.Fatal(err)
			}
		}
		if n := d.asked.Load(); n > 8 {
			t.Errorf("%d questions to one that fails", n)
		}
		d.answers(says(good))
		if _, err := d.ask("opaque", false, now.Add(2*time.Second)); err != nil {
			t.Errorf("two seconds later: %v", err)
		}
		if d.down.Load() != 1 || d.back.Load() != 1 {
			t.Errorf("told %d times that it is down, and %d times that it is back", d.down.Load(), d.back.Load())
		}
		if _, told := d.told.Load(remote.Refused); !told {
			t.Error("what was not asked is not told")
		}
	})
}

// Some endpoints answer what a stranger makes up with 400 or 404. Whoever does it pays, and
// nobody else's new token has to wait.
func TestEndpointThatDoesNotTakeATokenIsNotDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for answer, rests := range map[int]bool{400: false, 404: false, 422: false, 401: true, 403: true, 429: true, 500: true} {
			d := newDesk(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.FormValue("token"), "good") {
					says(good)(w, r)
					return
				}
				w.WriteHeader(answer)
			})
			stranger := netip.MustParseAddr("192.0.2.1")
			ask := func(raw string, from netip.Addr) error {
				_, err := d.Introspect(t.Context(), raw, token.Sum(raw), from, false, now)
				return err
			}
			for n := range 200 {
				if err := ask(fmt.Sprint("made-up", n), stranger); !silent(err) {
					t.Fatalf("%d: %v", answer, err)
				}
			}
			if err := ask("good", netip.MustParseAddr("198.51.100.7")); silent(err) != rests || err == nil == rests {
				t.Errorf("%d: somebody else's new token: %v", answer, err)
			}
			if n := d.asked.Load(); n > 51 {
				t.Errorf("%d: %d questions for one address", answer, n)
			}
		}
	})
}

// A stall that met many questions is no reason to ask nobody for longer than it took.
func TestStallThatManyMeetIsOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, stalled := make(chan struct{}, 12), make(chan struct{})
		d := newDesk(t, func(w http.ResponseWriter, _ *http.Request) {
			begun <- struct{}{}
			<-stalled
			w.WriteHeader(http.StatusBadGateway)
		})
		var all sync.WaitGroup
		for n := range 12 {
			all.Go(func() {
				if _, err := d.ask(fmt.Sprint("known", n), true, now); !silent(err) {
					t.Error(err)
				}
			})
		}
		for range 12 {
			<-begun
		}
		close(stalled)
		all.Wait()
		d.answers(says(good))
		if _, err := d.ask("known", true, now.Add(time.Second)); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}

func TestConfigurationOfIntrospectionHidesItsSecret(t *testing.T) {
	c := remote.IntrospectionConfig{Issuer: "https://a.example", URL: "https://a.example/i", ClientID: "gate", ClientSecret: clientSecret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if strings.Contains(fmt.Sprintf(verb, c), clientSecret) {
			t.Errorf("%s shows it", verb)
		}
	}
	for _, bad := range []func(*remote.IntrospectionConfig){
		func(c *remote.IntrospectionConfig) { c.URL = "http://a.example/i" },
		func(c *remote.IntrospectionConfig) { c.ClientID = "" },
		func(c *remote.IntrospectionConfig) { c.ClientSecret = "" },
	} {
		broken := c
		bad(&broken)
		if _, err := remote.NewIntrospection(broken); err == nil {
			t.Errorf("%v is accepted", broken)
		}
	}
}
