package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// The metrics live as long as the process and are registered with each
// configuration's registry anew, so a reload resets nothing. Every label has a
// closed set of values: what a stranger sends never becomes one.
var (
	issuerRequests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Subsystem: "issuer", Name: "requests_total",
		Help: "Requests answered by the issuer. error is the code of the answer, none for success; client is a registered client or unknown.",
	}, []string{"endpoint", "grant", "client", "error"})

	issuerSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "gatehouse", Subsystem: "issuer", Name: "request_duration_seconds",
		Help:    "Time the issuer took to answer.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"endpoint"})

	gateRequests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Subsystem: "gate", Name: "requests_total",
		Help: "Requests judged by the gates: accepted, excepted (nothing was asked), anonymous (optional, and without a token), shadowed (would have been refused), refused, or sent_to_sign_in (refused, and a person who was sent to sign in), and why.",
	}, []string{"outcome", "reason"})

	// Looked up once: a look-up by labels costs more than the count.
	gateAccepted  = gateRequests.WithLabelValues("accepted", "none")
	gateExcepted  = gateRequests.WithLabelValues("excepted", "none")
	gateAnonymous = gateRequests.WithLabelValues("anonymous", "none")
)

// registerMetrics adds the metrics to a configuration's registry. Each
// configuration has one of its own, and every module of it may come here.
func registerMetrics(registry prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{issuerRequests, issuerSeconds, gateRequests, gateStreams, gateStreamsEnded, gateSignIns, issuerFetches, issuerStates{}, introspections, nodesBehind{}} {
		if err := registry.Register(c); err != nil {
			if _, already := errors.AsType[prometheus.AlreadyRegisteredError](err); !already {
				return err
			}
		}
	}
	return nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// observe writes the one event of a request that the issuer has answered.
func (a *App) observe(e tokenissuer.Event) {
	issuerRequests.WithLabelValues(e.Endpoint, orElse(e.Grant, "none"), orElse(e.Client, "unknown"), orElse(e.Error, "none")).Inc()
	issuerSeconds.WithLabelValues(e.Endpoint).Observe(e.Took.Seconds())

	level, outcome := zapcore.InfoLevel, "granted"
	if e.Error != "" || e.Status >= http.StatusBadRequest {
		outcome = "refused"
	}
	if e.Status >= http.StatusInternalServerError {
		level, outcome = zapcore.ErrorLevel, "failed"
	}
	c := a.logger.Check(level, "issuer request")
	if c == nil {
		return
	}
	fields := make([]zap.Field, 0, 12)
	fields = append(fields,
		zap.String("endpoint", e.Endpoint), zap.String("outcome", outcome), zap.Int("status", e.Status),
		zap.String("peer", e.From.String()), zap.Duration("duration", e.Took))
	for _, f := range []struct{ name, value string }{
		{"grant", e.Grant}, {"client", e.Client}, {"who", e.Account}, {"scope", e.Scope}, {"error", e.Error}, {"reason", e.Reason},
	} {
		if f.value != "" {
			fields = append(fields, zap.String(f.name, f.value))
		}
	}
	if e.Cause != nil {
		fields = append(fields, zap.NamedError("cause", e.Cause))
	}
	c.Write(fields...)
}

// passed counts a request that goes on.
func (g *Gate) passed(r *http.Request, pass *gate.Pass) {
	switch {
	case pass.Shadowed != nil:
		g.refused(r, pass.Shadowed, "shadowed")
		return
	case pass.Excepted:
		gateExcepted.Inc()
		return
	case pass.Lapsed != nil:
		gateRequests.WithLabelValues("anonymous", string(pass.Lapsed.Reason)).Inc()
		return
	case pass.Claims == nil:
		gateAnonymous.Inc()
		return
	}
	gateAccepted.Inc()
	if c := g.logger.Check(zapcore.DebugLevel, "gate passed"); c != nil {
		c.Write(zap.String("outcome", "accepted"), zap.String("who", pass.Claims.Subject), zap.String("client", pass.Claims.ClientID),
			zap.String("host", r.Host), zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.String("peer", peerOf(r)))
	}
}

// refused counts a request that does not pass, or would not but for the shadow,
// and writes its one event. The path stands in it, the query never: there clients
// send what is not for logs.
func (g *Gate) refused(r *http.Request, refusal *gate.Refusal, outcome string) {
	gateRequests.WithLabelValues(outcome, string(refusal.Reason)).Inc()
	c := g.logger.Check(zapcore.InfoLevel, "gate "+outcome)
	if c == nil {
		return
	}
	fields := []zap.Field{
		zap.String("outcome", outcome), zap.String("reason", string(refusal.Reason)), zap.Int("status", refusal.Status),
		zap.String("host", r.Host), zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.String("peer", peerOf(r)),
		zapAt(g.At),
	}
	if why := refusal.Why(); why != "" {
		fields = append(fields, zap.String("cause", why))
	}
	if gate.Ambiguous(r.URL) {
		// Decoded it may look like any other path, and every gate judges it.
		fields = append(fields, zap.String("ambiguous_path", r.URL.EscapedPath()))
	}
	if refusal.Claims != nil {
		fields = append(fields, zap.String("who", refusal.Claims.Subject), zapClient(refusal.Claims.ClientID))
	}
	c.Write(fields...)
}

// peerOf is the client's address as Caddy makes it out.
func peerOf(r *http.Request) string {
	if ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ip != "" {
		return ip
	}
	return r.RemoteAddr
}

func zapClient(id string) zap.Field { return zap.String("client", id) }

func zapAt(at string) zap.Field { return zap.String("at", at) }
