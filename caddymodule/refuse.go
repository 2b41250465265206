package caddymodule

import (
	"errors"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

const opaqueTarget oauth.Reason = "opaque_target"

// inOnePiece refuses a target such as x:http://backend/admin, which net/url does not
// take apart and the backend does (RFC 9112 §3.2.2): whatever path the rules would see,
// by a rewrite for example, is not the one that it serves.
var inOnePiece = &gate.Refusal{Status: http.StatusBadRequest, Reason: opaqueTarget, Cause: errors.New("the target is an address in one piece, of which no rule has seen the path")}

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
