package caddymodule

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// nodesBehind reads how far each open store's changes by other nodes have been
// followed when somebody asks.
type nodesBehind struct{}

var (
	behindSeconds = prometheus.NewDesc("gatehouse_store_behind_seconds",
		"How long ago this node knew all that the other nodes of its database had revoked; below one second while it follows.", nil, nil)
	keysBehindSeconds = prometheus.NewDesc("gatehouse_store_keys_behind_seconds",
		"How long ago this node knew all the keys that the nodes of its database sign with; it signs nothing beyond a minute.", nil, nil)
	aheadSeconds = prometheus.NewDesc("gatehouse_store_clock_ahead_seconds",
		"How much the clock of the database is ahead of this node's. Tokens count by the database's.", nil, nil)
)

// Describe implements prometheus.Collector.
func (nodesBehind) Describe(all chan<- *prometheus.Desc) {
	all <- behindSeconds
	all <- keysBehindSeconds
	all <- aheadSeconds
}

// Collect implements prometheus.Collector. While a reload changes the database
// there are two; the one that is further behind counts.
func (nodesBehind) Collect(all chan<- prometheus.Metric) {
	var behind, keys, ahead time.Duration
	found := false
	states.Range(func(_, value any) bool {
		if s, ok := value.(*shared); ok && s.state != nil {
			if b, many := s.state.Behind(); many && (!found || b > behind) {
				behind, keys, ahead, found = b, s.state.KeysBehind(), s.state.Ahead(), true
			}
		}
		return true
	})
	if found {
		for desc, value := range map[*prometheus.Desc]time.Duration{behindSeconds: behind, keysBehindSeconds: keys, aheadSeconds: ahead} {
			all <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value.Seconds())
		}
	}
}

// followNodes ends the streams of a node that does not hear of the others: those
// requests were let in while it did, and nobody can say any more that they may go on.
func (s *shared) followNodes() {
	if _, many := s.state.Behind(); !many {
		return
	}
	done := make(chan struct{})
	s.alone = func() { close(done) }
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if i := s.newest(); i != nil && !i.Current() {
				s.streams.EndUnknown()
			}
		}
	}()
}

// newest is the issuer that serves.
func (s *shared) newest() *tokenissuer.Issuer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.issuers); n > 0 {
		return s.issuers[n-1]
	}
	return nil
}
