package tokenissuer

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/grant"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/portal"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// finish makes the code of an authorization request that somebody has agreed
// to, and sends the browser back with it (RFC 6749 §4.1.2).
func (i *Issuer) finish(w http.ResponseWriter, hr *http.Request, now time.Time, q portal.Request, s store.Session, once ...store.Write) error {
	code, err := i.codeOf(q)
	if err != nil {
		return err
	}
	redirect := q.RedirectURI
	if q.Implied {
		redirect = grant.ImpliedRedirect(redirect)
	}
	record := store.Code{
		Hash: grant.HashOf(code), Client: q.Client, Account: s.Account, Source: s.Source, RedirectURI: redirect,
		Scopes: q.Scopes, AMR: s.AMR, Nonce: q.Nonce, Challenge: q.Challenge, Session: s.ID, Claims: claimsAsked(q),
		AuthTime: s.AuthTime, Expires: now.Add(i.config.AuthorizationCodeLifetime),
	}
	err = i.state.store.Apply(hr.Context(), now, append(once, store.PutCode{Code: record})...)
	if errors.Is(err, store.ErrConflict) {
		if !i.waits(hr.Context(), now, record) {
			return oauth.Wrap(oauth.ServerError, oauth.LostRace, err)
		}
		err = nil // the person pressed twice, and the first answer was never read
	}
	if err != nil {
		return err
	}
	return i.sendBack(w, hr, q, [][2]string{{"code", code}})
}

// codeOf is the one code that a request can lead to: drawn, or made of the
// request's 256 random bits with a key of ours, so that it can be told again
// without being stored.
func (i *Issuer) codeOf(q portal.Request) (string, error) {
	if q.ID == "" {
		return grant.NewCode(), nil
	}
	return grant.CodeOf(i.state.pages, q.ID)
}

// waits reports whether nobody came with a code of this session yet.
func (i *Issuer) waits(ctx context.Context, now time.Time, record store.Code) bool {
	c, err := i.state.store.Code(ctx, record.Hash)
	return err == nil && c.Spent.IsZero() && c.Session == record.Session && now.Before(c.Expires)
}

// deny sends an error back to the client (RFC 6749 §4.1.2.1).
func (i *Issuer) deny(r *request, q portal.Request, err error) error {
	e := oauth.AsError(named(err))
	if e.Code == oauth.ServerError || e.Code == "" || e.Code == oauth.TemporarilyUnavailable {
		return err
	}
	r.note(e)
	fields := [][2]string{{"error", e.Code}}
	if e.Param != "" {
		uri := "https://datatracker.ietf.org/doc/html/rfc6749#section-4.1.2.1"
		if e.Reason == oauth.BadChallenge {
			uri = "https://datatracker.ietf.org/doc/html/rfc7636#section-4.4.1"
		}
		fields = append(fields, [2]string{"error_description", "OAuth 2.0 Parameter: " + e.Param}, [2]string{"error_uri", uri})
	}
	return i.sendBack(r.w, r.Request, q, fields)
}

// sendBack answers the browser with the client's address. After a POST it is
// 303, so that nothing posted here is posted there (RFC 9700 §4.12).
func (i *Issuer) sendBack(w http.ResponseWriter, hr *http.Request, q portal.Request, fields [][2]string) error {
	if q.State != "" {
		fields = append(fields, [2]string{"state", q.State})
	}
	if i.namesItself(q) {
		fields = append(fields, [2]string{"iss", i.base(family(q.Family))}) // RFC 9207 §2
	}
	if q.ResponseMode == "form_post" {
		return i.portal.PostBack(w, hr, q, fields)
	}
	status := http.StatusFound
	if hr.Method == http.MethodPost {
		status = http.StatusSeeOther
	}
	noStore(w.Header())
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", withQuery(q.RedirectURI, fields))
	w.WriteHeader(status)
	return nil
}

// namesItself is whether an answer says who made it.
func (i *Issuer) namesItself(q portal.Request) bool {
	if c, ok := i.clients[q.Family].Client(q.Client); ok && dialects[c.Dialect].iss || i.config.ISSParameter {
		return true
	}
	to, err := url.Parse(q.RedirectURI)
	return err == nil && to.Path != "" && to.Path == i.config.GateCallback
}

// withQuery adds parameters to an address as it stands, spelled as the
// documented server does: %20 for a space, colons and slashes as they are.
func withQuery(uri string, fields [][2]string) string {
	var b strings.Builder
	b.WriteString(uri)
	sep := byte('?')
	if strings.Contains(uri, "?") {
		sep = '&'
	}
	readable := strings.NewReplacer("+", "%20", "%3A", ":", "%2F", "/")
	for _, f := range fields {
		b.WriteByte(sep)
		b.WriteString(f[0] + "=" + readable.Replace(url.QueryEscape(f[1])))
		sep = '&'
	}
	return b.String()
}
