package caddymodule

import (
	"net/http"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// stripDefault knows the identity headers of a gate without header lines, for
// requests that are refused before any gate of their own is known.
var stripDefault = func() *gate.Gate {
	g, err := gate.New(gate.Config{Issuers: standIn}, new(gate.Cache))
	if err != nil {
		panic(err) // nothing of it comes from outside
	}
	return g
}()

// bare takes out of a request what a route that only shows an error must not
// get: who the caller says it is, what proves it, and what it sent.
func bare(r *http.Request, strip *gate.Gate) {
	if strip == nil {
		strip = stripDefault
	}
	strip.Strip(r)
	gate.Withhold(r.Header)
	r.Body, r.ContentLength, r.Trailer = http.NoBody, 0, nil
	r.Header.Del("Content-Length")
}
