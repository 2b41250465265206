package caddymodule

import (
	"context"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

var (
	gateStreams = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "gatehouse", Subsystem: "gate", Name: "streams",
		Help: "WebSockets, server-sent events and other answers without end that are under way and end with their token.",
	})

	gateStreamsEnded = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Subsystem: "gate", Name: "streams_ended_total",
		Help: "Streams that a gate has ended before their time, and why.",
	}, []string{"reason"})
)

// inContext has a request go on with another context at its own address, by which
// placeholders know it: matchers of the next gate read those. back is for who has handed
// it on.
func inContext(ctx context.Context, r *http.Request) (back func()) {
	before := r.Context()
	*r = *r.WithContext(ctx)
	return func() { *r = *r.WithContext(before) }
}

// endStreams ends what a revocation is about.
func (s *shared) endStreams(r store.Revocation) {
	if r.Token != "" {
		s.streams.EndToken(r.Token)
		s.streams.EndSignIn(r.Token) // of an issuer elsewhere; ids of both are random
		return
	}
	s.streams.EndClient(r.Client, r.NotBefore)
}

// serve notes that an issuer serves from here on.
func (s *shared) serve(i *tokenissuer.Issuer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuers = append(s.issuers, i)
	s.streams.Forget()
	if i != nil {
		i.Deliver()
	}
}

// retire ends the streams of clients that the configuration which is left does
// not have. Not before: a configuration that fails to start ends nothing, and what
// it said of notices is taken back.
func (s *shared) retire(i *tokenissuer.Issuer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := slices.Index(s.issuers, i); n >= 0 {
		s.issuers = slices.Delete(s.issuers, n, n+1)
	}
	if n := len(s.issuers); n > 0 && s.issuers[n-1] != nil {
		s.issuers[n-1].Deliver()
		s.streams.EndRevoked(s.issuers[n-1])
	}
}

// streamFields are what the event of a stream tells of it. They are kept from its begin:
// what ends it is not the handler, and may not look at the request.
func (g *Gate) streamFields(r *http.Request, pass *gate.Pass) []zap.Field {
	return []zap.Field{
		zap.String("host", r.Host), zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.String("peer", peerOf(r)),
		zap.String("who", pass.Claims.Subject), zapClient(pass.Claims.ClientID), zapAt(g.At),
	}
}

// streamEnded writes the one event of a stream that a gate has ended.
func (g *Gate) streamEnded(about []zap.Field, reason oauth.Reason) {
	gateStreamsEnded.WithLabelValues(string(reason)).Inc()
	g.logger.Info("gate ended a stream", append([]zap.Field{zap.String("outcome", "ended"), zap.String("reason", string(reason))}, about...)...)
}
