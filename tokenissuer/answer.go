package tokenissuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// request is what the issuer learns of a request on its way; the edge makes one
// event of it.
type request struct {
	*http.Request
	w         http.ResponseWriter
	now       time.Time // what counts, of the store's clock
	began     time.Time // of ours
	family    family
	dialect   *dialect
	event     Event
	plainJSON bool // errors without a charset, as the documents have them here
	guesses   bool // a refusal counts
	notTaken  bool // the answer leads to a page that refuses
	held      bool // its address has failed too often: it has to prove something first
	proven    bool // the client showed its secret
	wait      time.Duration
	waited    time.Duration // for its client's tokens to count, see afresh
	byID      bool          // the client showed nothing but its id
	basic     bool          // Authorization: Basic was used, so a 401 carries a challenge
	allow     string
}

// json answers 200. RFC 6749 §5.1: tokens and everything near them must not be
// stored by anything on the way.
func (r *request) json(mediaType string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	noStore(r.w.Header())
	r.write(http.StatusOK, mediaType, b)
	return nil
}

// empty answers 200 without a body.
func (r *request) empty() {
	noStore(r.w.Header())
	r.write(http.StatusOK, "", nil)
}

// public answers 200 with a document that everybody may keep for a while.
func (r *request) public(document []byte) {
	r.w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(documentAge/time.Second)))
	r.write(http.StatusOK, "application/json", document)
}

func (r *request) write(status int, mediaType string, body []byte) {
	h := r.w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if mediaType != "" {
		h.Set("Content-Type", mediaType)
	} else {
		h["Content-Type"] = nil // or net/http guesses one
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	r.w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = r.w.Write(body) // an error means the client has gone: nobody is left to tell
	}
}

// fail answers an error in the dialect and notes it in the event. It is the
// only place where an error becomes an answer.
func (r *request) fail(err error) {
	e := oauth.AsError(named(err))
	status, body := r.dialect.spell(e, r.byID)
	bearer, isBearer := r.dialect.refuseBearer(e)
	if isBearer {
		status, body = bearer.status, bearer.body
	}
	r.note(e)
	h := r.w.Header()
	noStore(h)
	switch {
	case isBearer:
		h.Set("WWW-Authenticate", bearer.challenge)
	case status == http.StatusMethodNotAllowed:
		h.Set("Allow", r.allow)
	case e.Retry > 0:
		h.Set("Retry-After", strconv.Itoa(int((e.Retry+time.Second-1)/time.Second)))
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(max(retryAfter, int(r.wait/time.Second)+1)))
	case status == http.StatusUnauthorized && r.basic:
		// RFC 6749 §5.2 wants the challenge here; for others a browser would answer it
		// with a password box.
		h.Set("WWW-Authenticate", `Basic realm="oauth2/client"`)
	}
	if body == nil {
		r.write(status, "", nil)
		return
	}
	b, _ := json.Marshal(body) // three strings
	mediaType := r.dialect.mediaType
	if r.plainJSON {
		mediaType = "application/json"
	}
	r.write(status, mediaType, b)
}

// note puts an error into the request's event.
func (r *request) note(e *oauth.Error) {
	r.event.Error, r.event.Reason, r.event.Cause = e.Code, string(e.Reason), e.Cause
	if e.Who != "" {
		r.event.Account = e.Who
	}
}

// named gives the store's errors the name they have at the edge. What has none
// is server_error.
func named(err error) error {
	if errors.Is(err, store.ErrUnavailable) {
		return oauth.Wrap(oauth.TemporarilyUnavailable, oauth.StoreUnavailable, err)
	}
	return err
}

// retryAfter is the seconds after which it is worth coming again to a store that
// could not answer.
const retryAfter = 5

func noStore(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
}
