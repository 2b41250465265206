package gate_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

func TestIsStream(t *testing.T) {
	for _, c := range []struct {
		name, method, header, value string
		want                        bool
	}{
		{"a page", http.MethodGet, "Accept", "text/html,*/*;q=0.8", false},
		{"nothing asked for", http.MethodGet, "X-Other", "1", false},
		{"WebSocket", http.MethodGet, "Upgrade", "websocket", true},
		{"WebSocket over HTTP/2", http.MethodConnect, ":protocol", "websocket", true},
		{"EventSource", http.MethodGet, "Accept", "text/event-stream", true},
		{"events, with a weight", http.MethodGet, "Accept", " Text/Event-Stream;q=0.5", true},
		{"events among others", http.MethodPost, "Accept", "application/json, text/event-stream", false},
		{"events before others", http.MethodPost, "Accept", "text/event-stream, application/json", false},
		{"what only begins alike", http.MethodGet, "Accept", "text/event-streams", false},
		{"gRPC", http.MethodPost, "Content-Type", "application/grpc+proto", true},
		{"a stream of Connect", http.MethodPost, "Content-Type", "application/connect+proto", true},
		{"a call of Connect that has one answer", http.MethodPost, "Content-Type", "application/proto", false},
		{"JSON", http.MethodPost, "Content-Type", "application/json", false},
	} {
		r := httptest.NewRequest(c.method, "https://app.example.com/", nil)
		r.Header[c.header] = []string{c.value}
		if got := gate.IsStream(r); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// stream is a context that ends with a token.
func stream(t *testing.T, g *gate.Gate, streams *gate.Streams, p *gate.Pass, now time.Time) (context.Context, func()) {
	ctx, end := context.WithCancelCause(t.Context())
	return ctx, g.Watch(streams, p, now, end)
}

// whyEnded is what it ended for.
func whyEnded(ctx context.Context) oauth.Reason { return gate.WhyEnded(context.Cause(ctx)) }

// pass lets somebody's request in.
func pass(t *testing.T, s *scene, g *gate.Gate, subject string) *gate.Pass {
	t.Helper()
	p, err := g.Check(request(s.sign(t, subject)), s.now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStreamEndsWithItsTokenAlone(t *testing.T) {
	s := newScene(t)
	g, streams := s.gate(t, gate.Config{}), gate.NewStreams(nil)
	ctx := map[string]context.Context{}
	for _, who := range []string{"ann", "ben", "eve"} {
		var finish func()
		ctx[who], finish = stream(t, g, streams, pass(t, s, g, who), s.now)
		defer finish()
	}
	streams.EndToken("jti-ann")
	streams.EndToken("jti-nobody")
	streams.EndClient("shop", s.now.Add(-2*time.Second)) // before they were issued
	streams.EndClient("other", s.now)
	want := map[string]oauth.Reason{"ann": oauth.RevokedToken, "ben": "", "eve": ""}
	for who, reason := range want {
		if got := whyEnded(ctx[who]); got != reason || (ctx[who].Err() != nil) != (reason != "") {
			t.Errorf("%s: ended for %q (%v), want %q", who, got, ctx[who].Err(), reason)
		}
	}
	s.revoked.clients["shop"] = true
	streams.EndRevoked(s.revoked)
	if ctx["ben"].Err() == nil || ctx["eve"].Err() == nil {
		t.Error("a stream goes on although its client is gone")
	}
}

func TestStreamOfATokenThatIsRevokedMeanwhileDoesNotBegin(t *testing.T) {
	s := newScene(t)
	g, streams := s.gate(t, gate.Config{}), gate.NewStreams(nil)
	p := pass(t, s, g, "ann")
	s.revoked.tokens["jti-ann"] = true
	streams.EndToken("jti-ann") // finds nothing yet
	ctx, finish := stream(t, g, streams, p, s.now)
	defer finish()
	if whyEnded(ctx) != oauth.RevokedToken {
		t.Error("it began")
	}
}

// A request of the configuration before may still be on its way when its client is gone.
// Another one that begins has clients that the newest does not know.
func TestStreamThatBeginsAfterTheReloadEndsWithItsClient(t *testing.T) {
	s := newScene(t)
	g, streams := s.gate(t, gate.Config{}), gate.NewStreams(nil)
	streams.EndRevoked(&list{clients: map[string]bool{"shop": true}})
	ctx, finish := stream(t, g, streams, pass(t, s, g, "ann"), s.now)
	defer finish()
	if whyEnded(ctx) != oauth.RevokedToken {
		t.Error("it began")
	}
	streams.Forget()
	ctx, finish = stream(t, g, streams, pass(t, s, g, "ben"), s.now)
	defer finish()
	if ctx.Err() != nil {
		t.Error("a configuration that has ended is asked about a client of the next")
	}
}

func TestStreamEndsWhenItsTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.now = time.Now()
		g, streams := s.gate(t, gate.Config{}), gate.NewStreams(nil)
		ctx, finish := stream(t, g, streams, pass(t, s, g, "ann"), s.now)
		defer finish()
		time.Sleep(298 * time.Second)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Fatalf("ended before its token: %v", context.Cause(ctx))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		// Else Caddy's proxy counts it against the backend: to a client of HTTP/1.1 the cause is the error.
		if whyEnded(ctx) != gate.ExpiredToken || !errors.Is(context.Cause(ctx), context.Canceled) {
			t.Errorf("its token expired: %v, %v", ctx.Err(), context.Cause(ctx))
		}
	})
}

func TestClosedStreamsTakeNoOther(t *testing.T) {
	s := newScene(t)
	g, streams := s.gate(t, gate.Config{}), gate.NewStreams(nil)
	before, finishBefore := stream(t, g, streams, pass(t, s, g, "ann"), s.now)
	defer finishBefore()
	streams.Close()
	after, finishAfter := stream(t, g, streams, pass(t, s, g, "ben"), s.now)
	defer finishAfter()
	for _, ctx := range []context.Context{before, after} {
		if whyEnded(ctx) != oauth.StoreUnavailable {
			t.Errorf("a stream goes on: %v", ctx.Err())
		}
	}
}

func TestNothingIsLeftOfStreamsThatEnded(t *testing.T) {
	s := newScene(t)
	g, streams := s.gate(t, gate.Config{}), gate.NewStreams(nil)
	var all sync.WaitGroup
	for n := range 50 {
		p := pass(t, s, g, strconv.Itoa(n))
		all.Go(func() {
			for range 100 {
				ctx, finish := stream(t, g, streams, p, s.now)
				streams.EndToken("jti-" + strconv.Itoa(n))
				if ctx.Err() == nil {
					t.Error("goes on")
				}
				finish()
			}
		})
	}
	all.Wait()
	if open := streams.Open(); open != 0 {
		t.Errorf("%d streams are open", open)
	}
	if left := streams.Len(); left != 0 {
		t.Errorf("%d groups are left", left)
	}
}
