package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
)

const theirSecret = "the secret+of:the client"

// office is an issuer with a token endpoint, whose answers a test decides.
type office struct {
	*httptest.Server
	document map[string]any
	token    http.HandlerFunc
}

func newOffice(t *testing.T) *office {
	t.Helper()
	d := &office{token: granting}
	d.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/openid-configuration" {
			_ = json.NewEncoder(w).Encode(d.document)
			return
		}
		d.token(w, r)
	}))
	t.Cleanup(d.Close)
	d.document = map[string]any{"issuer": d.URL, "authorization_endpoint": "https://people.example/authorize", "token_endpoint": d.URL + "/token"}
	return d
}

// client is the client of the issuer, with what its document says now.
func (d *office) client(t *testing.T, tokenEndpoint string) *remote.Registered {
	t.Helper()
	r, err := remote.NewRegistered(remote.RegisteredConfig{
		Issuer: d.URL, ClientID: "site", ClientSecret: theirSecret, TokenEndpoint: tokenEndpoint, Roots: (&site{Server: d.Server}).roots(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func granting(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"access_token":"a","token_type":"bearer","expires_in":60}`)
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Its no is about what it was shown; everything else is about itself, and takes
// nobody's sign-in away.
func TestOnlyAnIssuersNoIsANo(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	for name, c := range map[string]struct {
		answer       http.HandlerFunc
		denied, code bool // a refresh token is no good; a code gets nowhere
		result       remote.Result
	}{
		"invalid_grant":     {answering(400, `{"error":"invalid_grant"}`), true, true, remote.Status},
		"another status":    {answering(403, `{"error":"invalid_grant"}`), true, true, remote.Status},
		"a person to ask":   {answering(400, `{"error":"interaction_required"}`), true, true, remote.Status},
		"a person denied":   {answering(403, `{"error":"access_denied"}`), true, true, remote.Status},
		"a token denied":    {answering(401, `{"error":"invalid_token"}`), true, true, remote.Status},
		"a bare no":         {answering(400, ``), true, true, remote.Status},
		"invalid_client":    {answering(401, `{"error":"invalid_client"}`), false, true, remote.Status},
		"in the form":       {answering(400, `{"error":"invalid_client"}`), false, true, remote.Status},
		"another client":    {answering(400, `{"error":"unauthorized_client"}`), false, true, remote.Status},
		"no such grant":     {answering(400, `{"error":"unsupported_grant_type"}`), false, true, remote.Status},
		"a bare 401":        {answering(401, ``), false, true, remote.Status},
		"a wall in front":   {answering(403, `<html>invalid_grant</html>`), false, true, remote.Status},
		"one that says so":  {answering(403, `{"error":"Forbidden"}`), false, true, remote.Status},
		"too much to do":    {answering(400, `{"error":"temporarily_unavailable"}`), false, true, remote.Status},
		"something broken":  {answering(400, `{"error":"server_error"}`), false, true, remote.Status},
		"too often":         {answering(400, `{"error":"slow_down"}`), false, true, remote.Status},
		"too many":          {answering(429, ``), false, false, remote.Status},
		"broken":            {answering(500, `{"error":"invalid_grant"}`), false, false, remote.Status},
		"away":              {answering(503, ``), false, false, remote.Status},
		"HTML":              {answering(200, `<html>`), false, false, remote.Malformed},
		"nothing":           {answering(200, `{}`), false, false, remote.Malformed},
		"no type":           {answering(200, `{"access_token":"a"}`), false, false, remote.Malformed},
		"another type":      {answering(200, `{"access_token":"a","token_type":"DPoP"}`), false, false, remote.Malformed},
		"a number as token": {answering(200, `{"access_token":1,"token_type":"Bearer"}`), false, false, remote.Malformed},
		"10 MB":             {answering(200, `{"access_token":"`+strings.Repeat("a", 10<<20)+`","token_type":"Bearer"}`), false, false, remote.TooLarge},
		"a redirect":        {http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect).ServeHTTP, false, false, remote.Redirected},
	} {
		d := newOffice(t)
		d.token = c.answer
		client := d.client(t, "")
		for shown, denied := range map[string]bool{"code": c.code, "refresh_token": c.denied} {
			_, err := client.Earn(t.Context(), netip.Addr{}, url.Values{shown: {"c"}}, time.Now())
			failure, failed := errors.AsType[*remote.Failure](err)
			if !failed || failure.Result != c.result || errors.Is(err, remote.ErrDenied) != denied || strings.Contains(err.Error(), theirSecret) {
				t.Errorf("%s, a %s: %v", name, shown, err)
			}
		}
	}
}

// A client that the issuer does not take would be asked for with every request of everybody,
// and issuers count that.
func TestClientThatIsNotTakenIsShownSeldom(t *testing.T) {
	t.Parallel()
	d := newOffice(t)
	var asked atomic.Int32
	d.token = func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
	}
	r, now := d.client(t, ""), time.Now()
	renew := func(after time.Duration) error {
		_, err := r.Earn(t.Context(), netip.Addr{}, url.Values{"refresh_token": {"r"}}, now.Add(after))
		return err
	}
	for after, want := range []int32{1, 1, 1, 1, 1, 2, 2} {
		err := renew(time.Duration(after) * time.Second)
		if err == nil || errors.Is(err, remote.ErrDenied) || !strings.Contains(err.Error(), "answered 401: look at client_id and client_secret") || asked.Load() != want {
			t.Errorf("after %d s: asked %d times: %v", after, asked.Load(), err)
		}
	}
	d.token = granting
	if err := renew(time.Minute); err != nil {
		t.Errorf("mended: %v", err)
	}
	if err := renew(time.Minute); err != nil {
		t.Errorf("and again: %v", err)
	}
}

// What one person meets, such as a wall in front of the issuer, is not of the others.
func TestNoToOnePersonIsNotToTheClient(t *testing.T) {
	t.Parallel()
	d := newOffice(t)
	r := d.client(t, "")
	renew := func() error {
		_, err := r.Earn(t.Context(), netip.Addr{}, url.Values{"refresh_token": {"r"}}, time.Now())
		return err
	}
	d.token = answering(403, `<html>blocked</html>`)
	if err := renew(); err == nil || errors.Is(err, remote.ErrDenied) {
		t.Error(err)
	}
	d.token = granting
	if err := renew(); err != nil {
		t.Errorf("another person: %v", err)
	}
}

// The secret goes to the issuer, and not to whom its document names.
func TestSecretGoesWhereTheOperatorSays(t *testing.T) {
	t.Parallel()
	d, other := newOffice(t), newOffice(t)
	var asked atomic.Bool
	other.token = func(w http.ResponseWriter, r *http.Request) { asked.Store(true); granting(w, r) }
	d.document["token_endpoint"] = other.URL + "/token"
	_, err := d.client(t, "").Earn(t.Context(), netip.Addr{}, url.Values{}, time.Now())
	if failure, ok := errors.AsType[*remote.Failure](err); !ok || failure.Result != remote.Elsewhere || asked.Load() || !strings.Contains(err.Error(), "token_endpoint") {
		t.Errorf("a document that names another host: %v, asked: %v", err, asked.Load())
	}
	if _, err := d.client(t, other.URL+"/token").Earn(t.Context(), netip.Addr{}, url.Values{}, time.Now()); err != nil || !asked.Load() {
		t.Errorf("named by the operator: %v, asked: %v", err, asked.Load())
	}
	d.document["issuer"] = other.URL
	if _, err := d.client(t, "").Endpoints(t.Context(), time.Now()); err == nil {
		t.Error("the document of another issuer is believed")
	}
	d.document["issuer"], d.document["token_endpoint"], d.document["authorization_endpoint"] = d.URL, d.URL+"/token", "http://people.example/"
	if _, err := d.client(t, "").Endpoints(t.Context(), time.Now()); err == nil {
		t.Error("people are sent away in plain text")
	}
}

// RFC 6749 §2.3.1, by whichever of its two ways the issuer takes.
func TestClientProvesItselfAsTheIssuerWants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		methods any
		basic   bool
	}{
		"nothing said": {nil, true}, "both": {[]string{"client_secret_post", "client_secret_basic"}, true}, "the form": {[]string{"client_secret_post"}, false},
	} {
		d := newOffice(t)
		d.document["token_endpoint_auth_methods_supported"] = c.methods
		d.token = func(w http.ResponseWriter, r *http.Request) {
			id, secret, basic := r.BasicAuth()
			if basic {
				id, _ = url.QueryUnescape(id)
				secret, _ = url.QueryUnescape(secret)
			} else {
				id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
			}
			if id != "site" || secret != theirSecret || basic != c.basic || basic && r.PostFormValue("client_secret") != "" {
				t.Errorf("%s: %q %q %v", name, id, secret, basic)
			}
			granting(w, r)
		}
		g, err := d.client(t, "").Earn(t.Context(), netip.Addr{}, url.Values{"code": {"c"}}, time.Now())
		if err != nil || g.Access != "a" || g.Lifetime != time.Minute {
			t.Errorf("%s: %v %v", name, g.Lifetime, err)
		}
	}
}

// A document counts on while no other can be had.
func TestEndpointsOutliveAnIssuerThatIsDown(t *testing.T) {
	t.Parallel()
	d := newOffice(t)
	c, now := d.client(t, ""), time.Now()
	first, err := c.Endpoints(t.Context(), now)
	if err != nil || first.Authorize != "https://people.example/authorize" {
		t.Fatal(first, err)
	}
	d.Close()
	if later, err := c.Endpoints(t.Context(), now.Add(24*time.Hour)); err != nil || later != first {
		t.Errorf("%v %v", later, err)
	}
}

// An hour later the document is fetched beside people, who do not wait for it, and a
// caller who has gone waits for nothing.
func TestNobodyWaitsForADocumentThatIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newOffice(t)
		fetched, silent := make(chan struct{}, 100), make(chan struct{})
		defer close(silent)
		var hangs atomic.Bool
		well := d.Config.Handler
		d.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !hangs.Load() {
				well.ServeHTTP(w, r)
				return
			}
			fetched <- struct{}{}
			<-silent
		})
		c, now := d.client(t, ""), time.Now()
		known, err := c.Endpoints(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		hangs.Store(true)
		for range 50 { // while it hangs: nobody's answer depends on it
			if later, err := c.Endpoints(t.Context(), now.Add(61*time.Minute)); err != nil || later != known {
				t.Fatalf("%v %v", later, err)
			}
		}
		<-fetched
		if n := len(fetched); n != 0 {
			t.Errorf("%d more fetches", n)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := d.client(t, "").Endpoints(gone, now); err == nil || t.Context().Err() != nil {
			t.Errorf("a caller who has gone got %v", err)
		}
	})
}

// Everybody who comes while it is silent waits for one answer, not each in turn
// for their own.
func TestSilentIssuerIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newOffice(t)
		var fetches atomic.Int32
		begun, silent := make(chan struct{}), make(chan struct{})
		d.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if fetches.Add(1) == 1 {
				close(begun)
			}
			<-silent
			w.WriteHeader(http.StatusBadGateway)
		})
		c, now := d.client(t, ""), time.Now()
		var people, waiting sync.WaitGroup
		waiting.Add(51)
		ask := func() {
			if _, err := c.Endpoints(&waiter{Context: t.Context(), waits: waiting.Done}, now); err == nil {
				t.Error("a document came of nothing")
			}
		}
		people.Go(ask)
		<-begun
		for range 50 {
			people.Go(ask)
		}
		waiting.Wait()
		close(silent)
		people.Wait()
		if n := fetches.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
		for range 50 { // who comes right after it does not ask again
			ask()
		}
		if n := fetches.Load(); n != 1 {
			t.Errorf("%d fetches in a moment", n)
		}
		if _, err := c.Endpoints(t.Context(), now.Add(time.Minute)); err == nil || fetches.Load() != 2 {
			t.Errorf("later: %v after %d fetches", err, fetches.Load())
		}
	})
}

// waiter is the context of a request, and tells that somebody waits for its end.
type waiter struct {
	context.Context //nolint:containedctx // it is one
	once            sync.Once
	waits           func()
}

func (w *waiter) Done() <-chan struct{} {
	w.once.Do(w.waits)
	return w.Context.Done()
}

// A flood of made-up codes at a slow issuer does not keep people from renewing.
func TestMadeUpCodesDoNotStandInTheWayOfRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newOffice(t)
		hold := make(chan struct{})
		waiting := make(chan struct{}, 100)
		d.token = func(w http.ResponseWriter, r *http.Request) {
			if r.PostFormValue("code") != "" {
				waiting <- struct{}{}
				<-hold
			}
			granting(w, r)
		}
		c := d.client(t, "")
		var flood sync.WaitGroup
		for range 60 {
			flood.Go(func() { _, _ = c.Earn(t.Context(), netip.Addr{}, url.Values{"code": {"made up"}}, time.Now()) })
		}
		for range 16 {
			<-waiting // as many as are asked about at a time
		}
		if _, err := c.Earn(t.Context(), netip.Addr{}, url.Values{"refresh_token": {"r"}}, time.Now()); err != nil {
			t.Errorf("a renewal meanwhile: %v", err)
		}
		if len(waiting) > 0 {
			t.Errorf("%d more codes are asked about", len(waiting))
		}
		close(hold)
		flood.Wait()
	})
}

// Codes that a stranger makes up are not shown to the issuer without end: it counts
// them as this client's, and with the client's secret.
func TestStrangersHaveFewCodesShown(t *testing.T) {
	d := newOffice(t)
	var shown atomic.Int32
	d.token = func(w http.ResponseWriter, r *http.Request) {
		if shown.Add(1); r.FormValue("code") == "made up" {
			answering(http.StatusBadRequest, `{"error":"invalid_grant"}`)(w, r)
			return
		}
		granting(w, r)
	}
	c, now := d.client(t, ""), time.Now()
	stranger, person := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	earn := func(from netip.Addr, name, value string) error {
		_, err := c.Earn(t.Context(), from, url.Values{name: {value}}, now)
		return err
	}
	for range 200 {
		_ = earn(stranger, "code", "made up")
	}
	if got := shown.Load(); got != 50 {
		t.Errorf("%d of 200 codes were shown", got)
	}
	var failure *remote.Failure
	if err := earn(stranger, "code", "c"); !errors.As(err, &failure) || failure.Result != remote.Refused || errors.Is(err, remote.ErrDenied) {
		t.Errorf("one more: %v", err)
	}
	// Others are not held up, and whose codes are good comes as often as they like.
	for range 200 {
		if err := earn(person, "code", "c"); err != nil {
			t.Fatal(err)
		}
	}
	if err := earn(stranger, "refresh_token", "r"); err != nil {
		t.Errorf("somebody who is signed in, of the same address: %v", err)
	}
	if now = now.Add(time.Second); earn(stranger, "code", "c") != nil {
		t.Error("a second later the address is still kept out")
	}
}

// RFC 9207 §3: whether an answer without `iss` is one of this issuer's.
func TestDocumentSaysWhetherAnswersNameTheIssuer(t *testing.T) {
	for says, want := range map[any]bool{nil: false, false: false, true: true, "true": false} {
		d := newOffice(t)
		if d.document["authorization_response_iss_parameter_supported"] = says; says == nil {
			delete(d.document, "authorization_response_iss_parameter_supported")
		}
		if e, err := d.client(t, "").Endpoints(t.Context(), time.Now()); err != nil || e.SaysIssuer != want {
			t.Errorf("%v: %v %v", says, e.SaysIssuer, err)
		}
	}
}
