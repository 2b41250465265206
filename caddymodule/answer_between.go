package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// unheard is where whoever stands between two gates that answer writes to. A yes of
// theirs is none, for only a gate says who the caller is, and a no counts.
type unheard struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (u *unheard) Header() http.Header { return u.header }

// Write implements http.ResponseWriter.
func (u *unheard) Write(b []byte) (int, error) {
	u.WriteHeader(http.StatusOK)
	return len(b), nil
}

// WriteHeader implements http.ResponseWriter.
func (u *unheard) WriteHeader(status int) {
	if u.status == 0 && status >= http.StatusOK {
		u.status = status
	}
}

// objects is the status of a no, 0 where there was none: an error, or an answer that a
// proxy would not take for a yes.
func (u *unheard) objects(err error) int {
	status := u.status
	if err != nil {
		status = http.StatusInternalServerError
		if said, ok := errors.AsType[caddyhttp.HandlerError](err); ok && said.StatusCode != 0 {
			status = said.StatusCode
		}
	}
	switch {
	case status >= http.StatusBadRequest:
		return status
	case err != nil || status >= http.StatusMultipleChoices: // whoever would be sent elsewhere may not go on here
		return http.StatusForbidden
	}
	return 0
}

// objected tells the proxy of the no of somebody who stands between two gates. It is
// written here, or a page of handle_errors would make a yes of it.
func (g *Gate) objected(w http.ResponseWriter, r *http.Request, status int, challenge []string) error {
	g.logger.Debug("answer: what stands behind this gate says no", zap.Int("status", status), zapAt(g.At))
	if status == http.StatusUnauthorized && challenge != nil {
		w.Header()["Www-Authenticate"] = challenge
	}
	return g.fail(w, r, status, errObjected)
}

var errObjected = errors.New("refused behind the gate, by no gate")
