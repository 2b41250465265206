package portal

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Options are what a Portal works with. Issuer, Store, Accounts, Key, Clients,
// Finish, Deny and End are needed.
type Options struct {
	Issuer   string // scheme and host; nothing is taken from the Host header
	Store    *store.Store
	Accounts *account.Accounts

	// Key, of 32 bytes, seals p_state and keys the tokens of forms. All nodes of one
	// store need the same.
	Key []byte

	// Clients finds an enabled or disabled client by its id.
	Clients func(id string) (*client.Client, bool)

	// Sources are the password sources, in the operator's order.
	Sources []account.Source

	// Order is every source, of Sources and Codes, in the operator's order: what the
	// portal itself offers to who comes without an app. Default: Sources.
	Order []string

	// Codes signs people in by one-time code. Default: nobody.
	Codes OneTimeCodes

	// Addresses lets people set a password whose old one is lost, and open accounts
	// through clients that have SignUp. Default: nobody.
	Addresses Addresses

	// Moved, when set, is told of an e-mail address or phone number that its person
	// has changed, and in which language.
	Moved func(now time.Time, was, next store.Account, locale string)

	// Renewed, when set, is told of a password that its person has changed or set, of
	// one that is the account's first, and in which language.
	Renewed func(now time.Time, who store.Account, first bool, locale string)

	// Attributes are names and values of further texts of an account, which its
	// person sees. Default: none.
	Attributes func(who *store.Account) [][2]string

	// Scopes are the operator's texts for scopes. A scope without one is shown by
	// its name; the standard ones have texts.
	Scopes map[string]string

	// Name is what the pages are headed with. Default: the issuer's host, without
	// the port.
	Name string

	// Logo is the file of an image, svg, png, jpeg, webp or gif of at most 1 MiB,
	// read once. Default: none.
	Logo string

	// Color, #rgb or #rrggbb, is that of buttons; their text is black or white,
	// whichever can be read. Default #1f5f8b.
	Color string

	// Locales are the languages offered, of en and zh; the first is the default.
	// Default: en and zh.
	Locales []string

	// SessionLifetime is how long a browser stays signed in, counted from the
	// sign-in; being idle does not shorten it, being busy does not prolong it. The
	// cookie goes with the browser if that is sooner. Default 12h.
	SessionLifetime time.Duration

	// Finish answers the redirect that ends an authorization request with a code.
	// The writes use the request up and ask for what it relies on, and are applied
	// with the code's: where they conflict the error is store.ErrConflict, unless the code of this very request
	// and session still waits to be fetched.
	Finish func(w http.ResponseWriter, r *http.Request, now time.Time, req Request, s store.Session, writes ...store.Write) error

	// Deny answers the redirect that ends it with an error (RFC 6749 §4.1.2.1,
	// OpenID Connect Core §3.1.2.6).
	Deny func(w http.ResponseWriter, r *http.Request, now time.Time, req Request, code string) error

	// End says what is written together with the end of a session that its person
	// wants. With an error the session stays.
	End func(ctx context.Context, now time.Time, s store.Session) ([]store.Write, error)

	// Tell is written after what ends all of an account, or all that one client has
	// of it, and tells the clients that lost a session by it. Default: nobody is told.
	Tell func(now time.Time, account string) store.Write

	// Ended, when set, is called once writes of End or Tell are durable.
	Ended func()

	// NotTaken, when set, is told of a form that was not taken. Its answer does not
	// show it: a redirect to the page that says why, which has the status 400.
	NotTaken func(r *http.Request)

	// Refused, when set, is told why a page said no. The answer is given already.
	Refused func(r *http.Request, status int, err *oauth.Error)
}

// Request is an authorization request that was judged and now waits for a
// person. It travels sealed in p_state.
type Request struct {
	ID           string // what it is remembered by once it is used up; "" where it needed no page
	Family       int    // of paths, as the caller counts them
	Client       string
	RedirectURI  string
	Implied      bool // RedirectURI was not sent: it is the only one there is
	ResponseMode string
	State        string
	Scopes       []string
	Nonce        string
	Challenge    string
	Source       string   // auth_source_id, "" where none was asked for
	Prompt       []string // OpenID Connect Core §3.1.2.1
	MaxAge       int64    // seconds, -1 for none
	Subject      string   // the account that must be signed in, "" for any
	LoginHint    string
	Locales      []string // ui_locales
	Claims       string

	// Asked is when the request came: prompt=login wants a sign-in that is not
	// older.
	Asked time.Time
}

// Portal serves the pages of one configuration. It is safe for concurrent use.
type Portal struct {
	o         Options
	secure    bool // the issuer is on https
	sealer    cipher.AEAD
	formKey   []byte
	cookieKey []byte
	cross     *http.CrossOriginProtection
	languages *languages
	style     *asset
	logo      *asset // nil where there is none
}

// The defaults of the options that have one.
const (
	DefaultColor           = "#1f5f8b"
	DefaultSessionLifetime = 12 * time.Hour
)

// New makes a Portal. An error is about Logo, Color, Locales or Key.
func New(o Options) (*Portal, error) {
	issuer, err := url.Parse(o.Issuer)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	if len(o.Key) != 32 {
		return nil, errors.New("the key of the portal must have 32 bytes")
	}
	if o.Name == "" {
		o.Name = issuer.Hostname()
	}
	if o.Color == "" {
		o.Color = DefaultColor
	}
	if len(o.Locales) == 0 {
		o.Locales = []string{"en", "zh"}
	}
	if len(o.Order) == 0 {
		for i := range o.Sources {
			o.Order = append(o.Order, o.Sources[i].ID)
		}
	}
	if o.SessionLifetime <= 0 {
		o.SessionLifetime = DefaultSessionLifetime
	}
	p := &Portal{o: o, secure: issuer.Scheme == "https", cross: http.NewCrossOriginProtection()}
	if p.sealer, err = newSealer(o.Key); err != nil {
		return nil, err
	}
	if p.formKey, err = derive(o.Key, "form"); err != nil {
		return nil, err
	}
	if p.cookieKey, err = derive(o.Key, "session cookie"); err != nil {
		return nil, err
	}
	if p.languages, err = newLanguages(o.Locales); err != nil {
		return nil, err
	}
	if p.style, err = newStyle(o.Color); err != nil {
		return nil, err
	}
	if p.logo, err = newLogo(o.Logo); err != nil {
		return nil, err
	}
	return p, nil
}

// Begin answers an authorization request: with Finish or Deny where session and
// consent decide, and otherwise with a redirect to the first page. An error has
// answered nothing.
func (p *Portal) Begin(w http.ResponseWriter, r *http.Request, now time.Time, req Request) (err error) {
	if req.Asked.IsZero() {
		req.Asked = now
	}
	req.Asked = req.Asked.Truncate(time.Millisecond) // as exact as the session's times
	v := p.visit(w, r, now)
	v.pending = pending{Request: req, Expires: now.Add(pendingFor)}
	for try := 0; ; try++ {
		if v.session, v.signedIn, err = p.Session(r.Context(), r, now); err != nil {
			return err
		}
		step, code, err := v.step()
		switch {
		case err != nil:
			return err
		case step == deny:
			return p.o.Deny(w, r, now, req, code)
		case step != finish:
			return v.begin(step)
		}
		// A conflict means that what step saw is over, the session perhaps: it is
		// judged as it is now.
		if err = p.o.Finish(w, r, now, req, v.session, v.relies...); !errors.Is(err, store.ErrConflict) || try > 0 {
			return err
		}
	}
}

// begin leads to the first page of a request.
func (v *visit) begin(first step) error {
	v.browser = v.p.browserOf(v.w, v.r)
	v.pending.Request.ID = secret()
	if err := v.reseal(); err != nil {
		return err
	}
	path := loginPath
	if first == consent {
		path = "/portal/consent"
	}
	h := v.w.Header()
	pageHeaders(h)
	h.Set("Location", v.p.o.Issuer+path+"?p_state="+v.state)
	h.Set("Content-Length", "0")
	v.w.WriteHeader(http.StatusFound)
	return nil
}
