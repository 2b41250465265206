package tokenissuer

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/portal"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// newPortal joins the pages to the issuer.
func (i *Issuer) newPortal() (*portal.Portal, error) {
	var sources []account.Source
	var order []string
	for _, s := range i.config.Sources {
		order = append(order, s.ID)
		if source, ok := i.sources[s.ID]; ok {
			sources = append(sources, source)
		}
	}
	p, err := portal.New(portal.Options{
		Issuer: i.config.Issuer, Store: i.state.store, Accounts: i.accounts, Key: i.state.pages, Clients: i.client, Sources: sources,
		Attributes: i.shownAttributes, Scopes: i.config.Scopes, Name: i.codes.name, Logo: i.config.Portal.Logo, Color: i.config.Portal.Color, Locales: i.config.Locales,
		Order: order, Codes: i.codes, Addresses: addresses{i.codes, i.client}, Moved: i.codes.moved, Renewed: i.codes.renewed,
		Finish: i.finish,
		Deny: func(w http.ResponseWriter, hr *http.Request, now time.Time, q portal.Request, code string) error {
			return i.deny(requestOf(w, hr, now), q, oauth.Fail(code, oauth.DeniedByPerson))
		},
		NotTaken: func(hr *http.Request) {
			if r, ok := hr.Context().Value(requestKey{}).(*request); ok {
				r.notTaken = true
			}
		},
		End: i.ended, Tell: i.telling, Ended: i.state.wake,
		Refused: func(hr *http.Request, status int, err *oauth.Error) {
			if r, ok := hr.Context().Value(requestKey{}).(*request); ok {
				r.note(err)
			}
		},
	})
	if err != nil {
		return nil, &ConfigError{Option: "portal", Mend: err.Error()}
	}
	return p, nil
}

// shownAttributes are those of an account that the configuration names.
func (i *Issuer) shownAttributes(who *store.Account) (list [][2]string) {
	for _, name := range slices.Concat(i.config.Attributes, i.config.OperatorAttributes) {
		if value := i.attribute(who, name); value != "" {
			list = append(list, [2]string{name, value})
		}
	}
	return list
}

// pages is every path below /portal.
func (i *Issuer) pages(r *request) error {
	if err := i.portal.Serve(r.w, r.tagged(), r.now); err != nil {
		r.note(oauth.AsError(named(err)))
		status := http.StatusInternalServerError
		if r.event.Error == oauth.TemporarilyUnavailable {
			status = http.StatusServiceUnavailable
		}
		i.portal.Fail(r.w, r.Request, r.now, status, oauth.Reason(r.event.Reason))
	}
	return nil
}

// recorder remembers the status of an answer that others write, and whose
// request it is.
type recorder struct {
	http.ResponseWriter
	request *request
}

func (w *recorder) WriteHeader(status int) {
	w.request.event.Status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.request.event.Status == 0 {
		w.request.event.Status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type requestKey struct{}

// tagged is the HTTP request with the way back to this one, for what the portal
// tells of it.
func (r *request) tagged() *http.Request {
	return r.WithContext(context.WithValue(r.Context(), requestKey{}, r))
}

// requestOf finds the request again behind what the portal hands back.
func requestOf(w http.ResponseWriter, hr *http.Request, now time.Time) *request {
	if rec, ok := w.(*recorder); ok {
		return rec.request
	}
	return &request{Request: hr, w: w, now: now, dialect: ciam}
}
