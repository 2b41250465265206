package caddymodule

import (
	"context"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// countMost is how long a start takes to count the nodes beside it.
const countMost = 2 * time.Second

// saysWaits has a start write down whom it waits for: it may be minutes.
func (d database) saysWaits() {
	if d.address != nil {
		d.address.Waits(func(who string) {
			caddy.Log().Named("token_issuer").Info("store waits", zap.String("store", d.key()), zap.String("for", who))
		})
	}
}

// opened writes down what is served from: nodes of two databases look alike from
// outside, and so does one with another environment than its service's. The address has
// no password.
func (d database) opened(ctx context.Context, st *store.Store) {
	fields := []zap.Field{zap.String("store", d.key())}
	if version, err := st.Schema(ctx); err == nil {
		fields = append(fields, zap.Int64("schema", version))
	}
	if d.address != nil {
		ctx, cancel := context.WithTimeout(ctx, countMost)
		defer cancel()
		if hosts, err := d.address.Serving(ctx); err == nil {
			fields = append(fields, zap.Int("nodes", len(hosts)))
		}
	}
	caddy.Log().Named("token_issuer").Info("store opened", fields...)
}
