package portal

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// answers is what a page says to a reason, and with which status. What is not
// here is the app's mistake.
var answers = map[oauth.Reason]struct {
	status int
	text   string
}{
	ForeignState:               {http.StatusBadRequest, "error.start_again"},
	ExpiredState:               {http.StatusBadRequest, "error.expired"},
	ExpiredHere:                {http.StatusBadRequest, "error.too_late"},
	UsedState:                  {http.StatusBadRequest, "finished.text"},
	oauth.LostRace:             {http.StatusConflict, "error.form"},
	ForeignForm:                {http.StatusForbidden, "error.form"},
	UnknownField:               {http.StatusBadRequest, "error.form"},
	NoSuchEntry:                {http.StatusBadRequest, "error.form"},
	oauth.UnknownEndpoint:      {http.StatusNotFound, "error.not_found"},
	oauth.MethodNotAllowed:     {http.StatusMethodNotAllowed, "error.method"},
	oauth.BodyTooLarge:         {http.StatusRequestEntityTooLarge, "error.form"},
	oauth.UnsupportedMediaType: {http.StatusBadRequest, "error.form"},
	oauth.MalformedBody:        {http.StatusBadRequest, "error.form"},
	oauth.RepeatedParameter:    {http.StatusBadRequest, "error.form"},
	oauth.TooManyRequests:      {http.StatusTooManyRequests, "error.busy"},
	oauth.StoreUnavailable:     {http.StatusServiceUnavailable, "error.busy"},
	oauth.Overloaded:           {http.StatusServiceUnavailable, "error.busy"},
	oauth.UnknownAuthClient:    {http.StatusBadRequest, "error.app"},
	UnknownApp:                 {http.StatusBadRequest, "error.app"},
	oauth.SignUpNotEnabled:     {http.StatusBadRequest, "error.source"},
	NoSource:                   {http.StatusBadRequest, "error.source"},
	oauth.SourceNotAssociated:  {http.StatusBadRequest, "error.source"},
}

// refuse answers an error with a page.
func (v *visit) refuse(err error) error {
	switch {
	case errors.Is(err, store.ErrUnavailable):
		err = oauth.Wrap(oauth.TemporarilyUnavailable, oauth.StoreUnavailable, err)
	case errors.Is(err, store.ErrConflict):
		err = oauth.Wrap(oauth.InvalidRequest, oauth.LostRace, err)
	}
	e := oauth.AsError(err)
	if e.Reason == oauth.MissingParameter && e.Param == "p_state" && v.r.Method != http.MethodPost {
		return v.see(v.href("/portal/")) // typed, or kept as a bookmark: no app is there to go back to
	}
	status := http.StatusBadRequest
	if known, ok := answers[e.Reason]; ok {
		status = known.status
	} else if e.Code == oauth.ServerError || e.Code == "" {
		status = http.StatusInternalServerError
	}
	v.refused(status, e)
	return v.showError(status, e.Reason)
}

// refused tells who wants to know.
func (v *visit) refused(status int, e *oauth.Error) {
	if v.p.o.Refused != nil {
		v.p.o.Refused(v.r, status, e)
	}
}

func (v *visit) showError(status int, reason oauth.Reason) error {
	text := "error.generic"
	if known, ok := answers[reason]; ok && (known.text != "error.form" || strings.HasPrefix(v.r.URL.Path, "/portal")) {
		text = known.text // what is wrong with a request of an app is no form of ours
	} else if status >= http.StatusInternalServerError {
		text = "error.server"
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		v.w.Header().Set("Retry-After", "5")
	}
	v.state = ""      // it may be what is wrong
	if v.lang == "" { // refused before it was read
		v.speak(v.r.URL.Query().Get("lang"))
	}
	if reason == UsedState {
		return v.show(status, "finished", view{Data: v.words.T(text)})
	}
	return v.show(status, "error", view{Data: struct {
		Text   string
		Reason oauth.Reason
	}{v.words.T(text), reason}})
}

// Fail answers a page for what cannot be redirected.
func (p *Portal) Fail(w http.ResponseWriter, r *http.Request, now time.Time, status int, reason oauth.Reason) {
	if err := p.visit(w, r, now).showError(status, reason); err != nil {
		w.WriteHeader(http.StatusInternalServerError) // a template that fails: nothing is written yet
	}
}
