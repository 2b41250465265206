package remote

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// ErrDenied is an issuer's no to what it was shown (RFC 6749 §5.2).
var ErrDenied = errors.New("the issuer says no")

// untaken is the issuer's last no to the client, and until when it stands.
type untaken struct {
	err   error
	until time.Time
}

// untakenFor is how long a client that was not taken is not shown again: issuers count
// that, and everybody's renewals would show it with each request.
const untakenFor = 5 * time.Second

// stillUntaken is the error of a moment ago. A code is always shown: it is worth nothing
// later, and who has one sees the page.
func (r *Registered) stillUntaken(form url.Values, now time.Time) error {
	if last := r.untaken.Load(); last != nil && !form.Has("code") && now.Before(last.until) {
		return last.err
	}
	return nil
}

// understand tells the issuer's no to a code or a refresh token from one to the client,
// as for a secret that has ended, or of a wall in front of the issuer. Those say nothing
// of the person, whose sign-in is to go on once they are mended. A code leads nowhere in
// either case.
func (r *Registered) understand(err error, form url.Values, now time.Time) error {
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		return err
	}
	switch f.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
	default:
		return err
	}
	if f.ofShown() {
		return errors.Join(ErrDenied, err)
	}
	ofClient := f.ofClient()
	if ofClient {
		f.words += ": look at client_id and client_secret"
	}
	switch {
	case form.Has("code"):
		return errors.Join(ErrDenied, err)
	case ofClient: // and not of one person, or one address
		r.untaken.Store(&untaken{fmt.Errorf("token request: %w", err), now.Add(untakenFor)})
	}
	return err
}

// ofShown reports whether a no is about the code or the refresh token. Some issuers say
// so with 403, and some that they have too much to do with 400.
func (f *Failure) ofShown() bool {
	switch f.code {
	case "temporarily_unavailable", "server_error", "slow_down":
		return false
	case "invalid_grant", "invalid_token", "access_denied", "interaction_required", "login_required", "consent_required":
		return true
	}
	return f.Status == http.StatusBadRequest && !f.ofClient()
}

// ofClient reports whether a no is about the client, or how it proves who it is.
func (f *Failure) ofClient() bool {
	switch f.code {
	case "invalid_client", "unauthorized_client", "unsupported_grant_type":
		return true
	}
	return f.Status == http.StatusUnauthorized && f.code == ""
}
