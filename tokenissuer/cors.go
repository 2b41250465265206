package tokenissuer

import "net/http"

// shared are the endpoints that scripts of other origins may read: those a
// single-page application calls.
var shared = map[string]bool{
	"token": true, "revoke": true, "userinfo": true, "jwks": true, "discovery": true,
	"otp_send": true, "change_user_password": true, "reset_user_password": true,
}

// cors lets the scripts of registered origins read an answer, and reports
// whether it has answered a preflight. Credentials of the browser are never
// allowed: no endpoint here needs a cookie.
func (i *Issuer) cors(r *request, e *route) bool {
	if !shared[e.name] {
		return false
	}
	// Also to who names no origin: a cache would give that answer to a script.
	h := r.w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !i.origins[origin] {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", e.methods)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "600")
	r.w.WriteHeader(http.StatusNoContent)
	return true
}
