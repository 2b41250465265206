package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// Issuer is where people prove who they are, for one client of it.
type Issuer interface {
	// Doors are where browsers are sent; back is where they go after signing out.
	Doors(ctx context.Context, back string) (Doors, error)

	// Earn is a token request (RFC 6749 §4.1.3, §6) of the client. An error in whose
	// chain is ErrRefused is the issuer's no; another says that there is no answer now.
	Earn(ctx context.Context, peer string, form url.Values) (Tokens, error)

	// Revoke ends a token (RFC 7009): a refresh token with what was earned with it. An
	// error in whose chain is ErrUntold is no failure: the issuer cannot be told.
	Revoke(ctx context.Context, peer, token string) error
}

// Doors are the addresses of an issuer that people go to.
type Doors struct {
	Issuer    string // the `iss` of its answers
	Authorize string
	SignOut   string // "" where it has none

	SaysIssuer bool // `iss` is in every one of its answers
}

// Tokens are what a code or a refresh token earned.
type Tokens struct {
	Access, Refresh string
	Nonce           string // of an ID token that came along
	ID              bool   // one came along, and could be read
	Expires         time.Time
}

// String keeps them out of logs.
func (Tokens) String() string { return "tokens" }

// GoString keeps them out of %#v.
func (t Tokens) GoString() string { return t.String() }

// ErrRefused is an issuer's word that a code or a refresh token is no good.
var ErrRefused = errors.New("the issuer refuses it")

// ErrPerhapsRenewed is beside an ErrRefused of an issuer elsewhere: another node may have
// shown the refresh token before, and the browser have what came of it by now.
var ErrPerhapsRenewed = errors.New("another node may have renewed it")

// ErrUntold is of an issuer that takes no word of the end of a sign-in.
var ErrUntold = errors.New("the issuer cannot be told")

// Reasons why somebody is not signed in; a closed set.
const (
	CrossSite    oauth.Reason = "request_of_another_site"
	NoCookies    oauth.Reason = "browser_without_cookies"
	ForeignState oauth.Reason = "state_of_somebody_else"
	StaleState   oauth.Reason = "state_expired"
	OtherIssuer  oauth.Reason = "answer_of_another_issuer"
	IssuerSaidNo oauth.Reason = "issuer_said_no"
	SpentCode    oauth.Reason = "code_refused"
	WrongNonce   oauth.Reason = "id_token_of_another_sign_in"
	UnfitToken   oauth.Reason = "token_opens_nothing_here"
	TooLarge     oauth.Reason = "session_too_large"
	Loop         oauth.Reason = "session_does_not_hold"
	Unavailable  oauth.Reason = "issuer_unavailable"
	Unremembered oauth.Reason = "sign_out_not_remembered"
	WrongMethod  oauth.Reason = "method_not_allowed"
	Unknown      oauth.Reason = "unknown_address"
	Changing     oauth.Reason = "address_read_as_another_method"
)

// Outcome is what became of a sign-in, for the log.
type Outcome struct {
	Reason oauth.Reason // "" where it went on
	Cause  error
}

// Login signs people in for one client of one issuer.
type Login struct {
	Key    string // tells it from others, and stays the same across reloads
	Client string
	Scopes []string
	Issuer Issuer
	Away   bool // the issuer is elsewhere, and may take its time
	Keys   *Keys
	Memory *Memory

	// Beside are the logins of a host at other issuers elsewhere; nil: there are none. A dot
	// at the end of the host is part of it.
	Beside func(host string) []*Login

	// Judge says whether a gate knows the caller by a new token, at this place. A
	// gate that does not would send the person back here, for ever.
	Judge func(r *http.Request, gate int, to, access string) bool

	// MaxAge is how long ago the person may have signed in for that gate; 0: whenever it
	// was. Every way to the issuer says it, or its answer would be one that Judge refuses.
	MaxAge func(gate int) time.Duration
}

// Wish is what a gate asks of a sign-in besides who somebody is.
type Wish struct {
	Gate int
	To   string // the place to come back to, as Return makes it
	Else bool   // as somebody else than who is signed in
}

// Begin sends a person to the issuer.
func (l *Login) Begin(w http.ResponseWriter, r *http.Request, b *Brought, wish Wish, now time.Time) Outcome {
	return l.begin(w, r, b, wish, 1, now)
}

func (l *Login) begin(w http.ResponseWriter, r *http.Request, b *Brought, wish Wish, try int, now time.Time) Outcome {
	f, known := readFlow(b, "")
	if !known {
		f = newFlow()
	}
	if f.loops(now) || try > mostTries {
		return l.page(w, r, http.StatusForbidden, "loop", wish.To, Outcome{Reason: Loop})
	}
	doors, err := l.Issuer.Doors(r.Context(), home(r))
	if err != nil {
		return l.page(w, r, http.StatusServiceUnavailable, "unavailable", wish.To, Outcome{Unavailable, err})
	}
	s := state{
		id: random(16), verifier: random(32), browser: f.browser, to: wish.To, client: l.Key,
		gate: wish.Gate, try: try, expires: now.Add(stateFor).Unix(),
	}
	if !known {
		set(w, f.name, f.String())
	}
	goTo(w, http.StatusFound, withQuery(doors.Authorize, l.ask(r, &s, wish)))
	return Outcome{}
}

// ask is the authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3).
func (l *Login) ask(r *http.Request, s *state, wish Wish) url.Values {
	q := url.Values{
		"response_type": {"code"}, "client_id": {l.Client}, "redirect_uri": {callback(r)}, "scope": {strings.Join(l.Scopes, " ")},
		"state": {s.seal(l.Keys, Host(r))}, "nonce": {s.id}, "code_challenge": {challenge(s.verifier)}, "code_challenge_method": {oauth.S256},
	}
	if wish.Else {
		q.Set("prompt", "select_account")
	}
	if age := l.MaxAge(wish.Gate); age > 0 {
		q.Set("max_age", strconv.FormatInt(int64(age/time.Second), 10))
	}
	return q
}

// home is the first page of the site that was asked. The issuer compares what is
// made of it with what it knows, so a Host of a stranger's leads nowhere.
func home(r *http.Request) string { return "https://" + r.Host + "/" }

func callback(r *http.Request) string { return "https://" + r.Host + callbackPath }

func withQuery(address string, q url.Values) string {
	if strings.Contains(address, "?") {
		return address + "&" + q.Encode()
	}
	return address + "?" + q.Encode()
}

// goTo sends a browser on. What the address holds is for nobody else, and no
// answer of a site's is good for two.
func goTo(w http.ResponseWriter, status int, address string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", address)
	h.Set("Content-Length", "0")
	w.WriteHeader(status)
}

// Serve answers what is below Paths. others are the logins of the configuration
// by their keys: a person comes back here from any of them.
func (l *Login) Serve(w http.ResponseWriter, r *http.Request, b *Brought, others map[string]*Login, gate int, now time.Time) Outcome {
	post := r.URL.Path == logoutPath && r.Method == http.MethodPost
	if r.Method != http.MethodGet && !post {
		w.Header().Set("Allow", "GET")
		return l.page(w, r, http.StatusMethodNotAllowed, "unknown", "/", Outcome{Reason: WrongMethod})
	}
	switch r.URL.Path {
	case callbackPath:
		return l.callback(w, r, b, others, now)
	case startPath:
		wish := Wish{Gate: gate, To: Return(r.URL.Query().Get("return")), Else: r.URL.Query().Get("as") == "other"}
		return l.Begin(w, r, b, wish, now)
	case logoutPath:
		return l.logout(w, r, b, others, now)
	}
	return l.page(w, r, http.StatusNotFound, "unknown", "/", Outcome{Reason: Unknown})
}
