package remote_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
)

// endless sends until nobody reads any more, and counts the bytes.
func endless(sent *atomic.Int64, most int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		line := []byte(`{"keys":[` + strings.Repeat(" ", 32<<10))
		for sent.Load() < most {
			n, err := w.Write(line)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}
}

// G02: whatever comes instead of keys, those that are known go on working, what
// is wrong is said in one line, and nothing is fetched from anywhere else.
func TestWhatIsNoKeySetChangesNothing(t *testing.T) {
	other := newSite(t)
	var sent atomic.Int64
	many := `{"keys":[{"kty":"OKP"}` + strings.Repeat(`,{"kty":"OKP"}`, 50_000) + `]}`
	to := func(address string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, address, http.StatusFound) }
	}
	for name, c := range map[string]struct {
		keys http.HandlerFunc
		want remote.Result
	}{
		"500":                        {status(500), remote.Status},
		"404":                        {status(404), remote.Status},
		"204":                        {status(204), remote.Status},
		"HTML":                       {html, remote.Malformed},
		"nothing":                    {says(""), remote.Malformed},
		"{}":                         {says("{}"), remote.Malformed},
		"null":                       {says(`{"keys":null}`), remote.Malformed},
		"no keys":                    {says(`{"keys":[]}`), remote.Malformed},
		"a shared key":               {says(`{"keys":[{"kty":"oct","k":"AAAA","kid":"1"}]}`), remote.Malformed},
		"100 MB":                     {endless(&sent, 100<<20), remote.TooLarge},
		"endless":                    {endless(&sent, 1<<40), remote.TooLarge},
		"10 MB announced":            {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "10485760") }, remote.TooLarge},
		"50,000 keys":                {says(many), remote.Malformed},
		"a redirect elsewhere":       {to(other.URL + "/keys"), remote.Redirected},
		"a redirect to itself":       {to("/keys"), remote.Redirected},
		"a redirect to the metadata": {to("http://169.254.169.254/latest/meta-data"), remote.Redirected},
		"closed in the middle":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, remote.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			sent.Store(0)
			synctest.Test(t, func(t *testing.T) {
				seen := &log{}
				k := open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots(), Observe: seen.observe})
				synctest.Wait()
				s.answers(c.keys, nil)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				e := seen.last()
				if e.Result != c.want || e.Err == nil || strings.Contains(e.Err.Error(), "\n") || len(e.Err.Error()) > 400 {
					t.Errorf("%s: %v", e.Result, e.Err)
				}
				if !known(k, s.newest()) {
					t.Error("the known key is gone")
				}
			})
			if sent.Load() > 64<<20 { // most of it in the buffers of two sockets, at each of several tries
				t.Errorf("%d bytes were taken", sent.Load())
			}
		})
	}
	if other.asked.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// G07
func TestMetadataThatSaysSomethingElseIsNotBelieved(t *testing.T) {
	other := newSite(t)
	for name, c := range map[string]struct {
		document string
		want     remote.Result
		words    string
	}{
		"another issuer":            {`{"issuer":"https://evil.example","jwks_uri":"$SITE/keys"}`, remote.WrongIssuer, "another issuer"},
		"a slash more":              {`{"issuer":"$SITE/","jwks_uri":"$SITE/keys"}`, remote.WrongIssuer, "another issuer"},
		"no issuer":                 {`{"jwks_uri":"$SITE/keys"}`, remote.WrongIssuer, "another issuer"},
		"Issuer":                    {`{"Issuer":"$SITE","jwks_uri":"$SITE/keys"}`, remote.WrongIssuer, "another issuer"},
		"issuer as a list":          {`{"issuer":["$SITE"],"jwks_uri":"$SITE/keys"}`, remote.WrongIssuer, "another issuer"},
		"HTML":                      {`<html>`, remote.Malformed, "not a JSON object"},
		"null":                      {`null`, remote.WrongIssuer, ""},
		"no keys":                   {`{"issuer":"$SITE"}`, remote.Malformed, "no jwks_uri"},
		"keys over http":            {`{"issuer":"$SITE","jwks_uri":"http://login.example.com/keys"}`, remote.Malformed, "must be https"},
		"keys in a file":            {`{"issuer":"$SITE","jwks_uri":"file:///etc/passwd"}`, remote.Malformed, "expected an address"},
		"keys on another host":      {`{"issuer":"$SITE","jwks_uri":"$OTHER/keys"}`, remote.Elsewhere, "name the address as jwks_uri"},
		"keys at the metadata":      {`{"issuer":"$SITE","jwks_uri":"https://169.254.169.254/keys"}`, remote.Elsewhere, ""},
		"keys of another one's":     {`{"issuer":"$SITE","jwks_uri":"https://127.0.0.1/keys"}`, remote.Elsewhere, ""},
		"keys with a password":      {`{"issuer":"$SITE","jwks_uri":"https://a:b@127.0.0.1/keys"}`, remote.Malformed, ""},
		"the right one as control":  {`{"issuer":"$SITE","jwks_uri":"$SITE/keys"}`, remote.OK, ""},
		"with more than one wanted": {`{"issuer":"$SITE","jwks_uri":"$SITE/keys","x":{"issuer":"y"}}`, remote.OK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.answers(nil, says(strings.NewReplacer("$SITE", s.URL, "$OTHER", other.URL).Replace(c.document)))
			synctest.Test(t, func(t *testing.T) {
				seen := &log{}
				k := open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots(), Observe: seen.observe})
				err := k.Await(t.Context(), s.newest())
				synctest.Wait()
				if e := seen.last(); e.Result != c.want || (err == nil) != (c.want == remote.OK) || known(k, s.newest()) != (err == nil) {
					t.Errorf("%s: %v; %v", e.Result, e.Err, err)
				} else if err != nil && !strings.Contains(err.Error(), c.words) {
					t.Errorf("%q is not in %v", c.words, err)
				}
			})
		})
	}
	if other.asked.Load() != 0 {
		t.Error("the other host was asked")
	}
}

func TestMetadataIsFoundInBothPlaces(t *testing.T) {
	for path, place := range map[string]string{
		"":             "/.well-known/openid-configuration",
		"/":            "/.well-known/openid-configuration",
		"/tenant/v2.0": "/tenant/v2.0/.well-known/openid-configuration",
		"/a":           "/.well-known/oauth-authorization-server/a",
		"/b/":          "/.well-known/oauth-authorization-server/b",
	} {
		t.Run(path, func(t *testing.T) {
			s := newSite(t)
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case place:
					fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, s.URL+path, s.URL+"/keys")
				case "/keys":
					s.answer(w, r)
				default:
					http.NotFound(w, r)
				}
			})
			k := open(t, remote.KeysConfig{Issuer: s.URL + path, Roots: s.roots(), Wait: time.Minute})
			if err := k.Await(t.Context(), s.newest()); err != nil || !known(k, s.newest()) {
				t.Error(err)
			}
		})
	}
}

// G02: one that is slow, or hangs, holds a request up for Wait and no longer,
// and is let go of after Timeout.
func TestSlowIssuerHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	gone := func(r *http.Request) { <-r.Context().Done() }
	for name, slow := range map[string]http.HandlerFunc{
		"hangs": func(_ http.ResponseWriter, r *http.Request) { gone(r) },
		"hangs after the header": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			gone(r)
		},
		"a byte at a time": func(w http.ResponseWriter, r *http.Request) {
			every := time.NewTicker(20 * time.Millisecond)
			defer every.Stop()
			for range every.C {
				_, _ = w.Write([]byte(" "))
				if http.NewResponseController(w).Flush() != nil || r.Context().Err() != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			here, left := make(chan struct{}, 100), make(chan struct{}, 100)
			s.answers(func(w http.ResponseWriter, r *http.Request) {
				here <- struct{}{}
				slow(w, r)
				left <- struct{}{}
			}, nil)
			hasty := open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots(), Timeout: time.Minute, Wait: 50 * time.Millisecond})
			if err := hasty.Await(t.Context(), s.newest()); err == nil || !strings.Contains(err.Error(), "not answered yet") { // nor does it for long
				t.Errorf("%v", err)
			}
			<-here
			hasty.Close()
			<-left
			k := open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots(), Timeout: 3 * time.Second, Wait: time.Minute})
			<-left // the fetch has ended
			s.answers(nil, nil)
			for !known(k, s.newest()) { // it is asked again by itself
				_ = k.Await(t.Context(), s.newest())
			}
		})
	}
}

func TestIssuersOfUnknownAuthoritiesAndPlainTextAreNotBelieved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, c := range map[string]struct {
		config remote.KeysConfig
		want   remote.Result
	}{
		"unknown authority": {remote.KeysConfig{Issuer: s.URL}, remote.Untrusted},
		"plain text":        {remote.KeysConfig{Issuer: "https://" + plainServer(t)}, remote.Unreachable},
		"refuses":           {remote.KeysConfig{Issuer: "https://127.0.0.1:1"}, remote.Unreachable},
		// G08: what a name leads to counts, at the moment of the connection.
		"link-local":       {remote.KeysConfig{Issuer: "https://169.254.169.254"}, remote.Forbidden},
		"link-local, IPv6": {remote.KeysConfig{Issuer: "https://[fe80::1]"}, remote.Forbidden},
		"mapped":           {remote.KeysConfig{Issuer: "https://[::ffff:169.254.169.254]"}, remote.Forbidden},
		"by NAT64":         {remote.KeysConfig{Issuer: "https://[64:ff9b::a9fe:a9fe]"}, remote.Forbidden},
		"metadata":         {remote.KeysConfig{Issuer: "https://[fd00:ec2::254]"}, remote.Forbidden},
		"unspecified":      {remote.KeysConfig{Issuer: "https://0.0.0.0"}, remote.Forbidden},
		"multicast":        {remote.KeysConfig{Issuer: "https://224.0.0.1"}, remote.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := &log{}
			c.config.Observe = seen.observe
			k := open(t, c.config)
			if err := k.Await(t.Context(), "1"); err == nil {
				t.Error("it is taken at its word")
			}
			for seen.last().Err == nil { // told of right after those who wait
				_ = k.Await(t.Context(), "1")
			}
			if e := seen.last(); e.Result != c.want {
				t.Errorf("%s: %v", e.Result, e.Err)
			}
		})
	}
}

// plainServer listens on loopback and speaks no TLS.
func plainServer(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler()}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

func TestAddressesThatAreNotAskedAtAll(t *testing.T) {
	for _, address := range []string{
		"", "login.example.com", "http://login.example.com", "http://127.0.0.1.evil.example", "ftp://login.example.com", "file:///etc/passwd",
		"https://", "https://a:b@login.example.com", "https://login.example.com/#x", "http://10.0.0.1", "http://0.0.0.0", "://x",
	} {
		if remote.CheckURL(address) == nil {
			t.Errorf("%q", address)
		}
		if _, err := remote.OpenKeys(remote.KeysConfig{Issuer: "https://login.example.com", JWKSURI: address}); err == nil && address != "" {
			t.Errorf("%q", address)
		}
	}
	for _, address := range []string{"https://login.example.com/keys?v=2", "http://localhost:1/", "http://127.0.0.9/x", "http://[::1]/x"} {
		if err := remote.CheckURL(address); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
}
