package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// outcry is how a handler's errors are heard.
type outcry struct {
	logger *zap.Logger
	nested bool // a subroute around the handler answers errors
	terse  bool // whoever asks is a proxy, for which any 200 of an error page would be a yes
}

func outcryOf(ctx caddy.Context) outcry {
	o := outcry{logger: ctx.Logger()}
	for _, module := range ctx.Modules() {
		if sub, ok := module.(*caddyhttp.Subroute); ok && sub.Errors != nil {
			o.nested = true
		}
	}
	return o
}

// fail answers with an error. Where the configuration says how errors are answered
// it is Caddy's; else the answer is the one that Caddy would give, without the line
// that it would log with the whole address: clients put tokens into queries.
func (o outcry) fail(w http.ResponseWriter, r *http.Request, status int, err error) error {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !o.terse && (o.nested || server == nil || server.Errors != nil && len(server.Errors.Routes) > 0) {
		return caddyhttp.Error(status, err)
	}
	w.WriteHeader(status)
	return nil
}

// unavailable answers a request that could not be served now.
func (o outcry) unavailable(w http.ResponseWriter, r *http.Request, err error) error {
	err = fmt.Errorf("%w: try again", err)
	o.tell(r, http.StatusServiceUnavailable, zap.NamedError("cause", err))
	w.Header().Set("Retry-After", "1")
	return o.fail(w, r, http.StatusServiceUnavailable, err)
}

// unmatched answers a request of which a matcher cannot say whether it selects it.
func (o outcry) unmatched(w http.ResponseWriter, r *http.Request, err error, at string) error {
	status := http.StatusInternalServerError
	if own, ok := errors.AsType[caddyhttp.HandlerError](err); ok && own.StatusCode != 0 {
		status = own.StatusCode
	}
	// What CEL has to say may quote the query.
	o.tell(r, status, zap.String("cause", "the matcher failed"), zapAt(at))
	return o.fail(w, r, status, err)
}

// tell writes the event of a request that came to no decision.
func (o outcry) tell(r *http.Request, status int, more ...zap.Field) {
	o.logger.Error("request not served", append([]zap.Field{
		zap.Int("status", status), zap.String("host", r.Host), zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.String("peer", peerOf(r)),
	}, more...)...)
}
