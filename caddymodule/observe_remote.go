package caddymodule

import (
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
)

var issuerFetches = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "gatehouse", Subsystem: "gate", Name: "key_fetches_total",
	Help: "Fetches of the keys of foreign issuers, by how they ended.",
}, []string{"issuer", "result"})

var introspections = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "gatehouse", Subsystem: "gate", Name: "introspections_total",
	Help: "Questions to foreign issuers about opaque tokens, by how they ended; refused are those that were not put, for too many were.",
}, []string{"issuer", "result"})

// issuerStates tells, when it is asked, how the keys of foreign issuers are.
type issuerStates struct{}

var (
	keysAge = prometheus.NewDesc("gatehouse_gate_keys_age_seconds",
		"Time since the keys of a foreign issuer were last fetched; absent until they were.", []string{"issuer"}, nil)
	keysState = prometheus.NewDesc("gatehouse_gate_keys_state",
		"1 for how the keys of a foreign issuer are: waiting for the first answer, fresh, stale (the issuer cannot be asked) or down (none are used).",
		[]string{"issuer", "state"}, nil)
)

// Describe implements prometheus.Collector.
func (issuerStates) Describe(all chan<- *prometheus.Desc) {
	all <- keysAge
	all <- keysState
}

// keysReading is how the keys of a foreign issuer are.
type keysReading struct {
	State   remote.State `json:"state"`
	Fetched time.Time    `json:"fetched,omitzero"`
}

// keysElsewhere are those of all issuers that are fetched from. While a reload
// changes how an issuer is asked there are two of it, and the one that knows more
// counts.
func keysElsewhere() map[string]keysReading {
	issuers := map[string]keysReading{}
	elsewhere.Range(func(_, value any) bool {
		if k, ok := value.(fetchedKeys); ok {
			state, fetched := k.Status()
			if other, twice := issuers[k.issuer]; !twice || fetched.After(other.Fetched) {
				issuers[k.issuer] = keysReading{state, fetched}
			}
		}
		return true
	})
	return issuers
}

// Collect implements prometheus.Collector.
func (issuerStates) Collect(all chan<- prometheus.Metric) {
	for issuer, keys := range keysElsewhere() {
		if !keys.Fetched.IsZero() {
			all <- prometheus.MustNewConstMetric(keysAge, prometheus.GaugeValue, time.Since(keys.Fetched).Seconds(), issuer)
		}
		for _, state := range []remote.State{remote.Waiting, remote.Fresh, remote.Stale, remote.Down} {
			value := 0.0
			if state == keys.State {
				value = 1
			}
			all <- prometheus.MustNewConstMetric(keysState, prometheus.GaugeValue, value, issuer, string(state))
		}
	}
}

// observeKeys counts each fetch, and writes an event when an issuer becomes
// another than it was: once each, however many requests there are.
func observeKeys(e remote.Event) {
	issuerFetches.WithLabelValues(e.Issuer, string(e.Result)).Inc()
	log := caddy.Log().Named("token_gate").With(zap.String("issuer", e.Issuer))
	why := zap.String("why", "")
	if e.Err != nil {
		why = zap.String("why", e.Err.Error())
		log.Debug("issuer's keys were not fetched", zap.String("result", string(e.Result)), why, zap.Duration("duration", e.Took))
	}
	switch {
	case e.From == e.To:
	case e.To == remote.Stale:
		log.Warn("issuer cannot be asked; the keys it published last go on being used", why, zap.Time("until", e.Until))
	case e.To == remote.Down:
		log.Error("issuer cannot be asked and none of its keys is used: its tokens are answered 503", why)
	case e.From == remote.Waiting:
		log.Info("issuer's keys were fetched", zap.Int("keys", e.Set.Len()), zap.Duration("duration", e.Took))
	default:
		log.Info("issuer is back", zap.Int("keys", e.Set.Len()), zap.String("after", string(e.From)))
	}
	if e.Changed {
		for _, unused := range e.Set.LeftOut() {
			log.Info("a key of the issuer is not used: " + unused.Error())
		}
	}
}

// observeQuestion counts a question about an opaque token, and writes an event when
// the issuer stops answering, and when it begins again.
func observeQuestion(e remote.Asked) {
	introspections.WithLabelValues(e.Issuer, string(e.Result)).Inc()
	log := caddy.Log().Named("token_gate").With(zap.String("issuer", e.Issuer))
	switch {
	case e.Down:
		log.Error("issuer does not answer about opaque tokens: those it has not spoken of lately are answered 503", zap.Error(e.Err))
	case e.Back:
		log.Info("issuer answers about opaque tokens again")
	case e.Err != nil:
		log.Debug("opaque token was not asked about", zap.String("result", string(e.Result)), zap.Error(e.Err), zap.Duration("duration", e.Took))
	}
}
