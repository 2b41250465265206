package portal

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

const right = "correct horse battery"

var staff = account.Source{ID: "staff", Failures: 5, Lock: 15 * time.Minute}

// world is a portal on https over a real store. Its apps all live at
// https://app.example, which nobody asks: a test looks at the redirect.
type world struct {
	t        testing.TB
	p        *Portal
	st       *store.Store
	accounts *account.Accounts
	server   *httptest.Server
	ann      store.Account

	mu      sync.Mutex
	now     time.Time
	ended   []string
	refused []oauth.Reason
	fetched bool    // the app has come with every code
	asking  Request // what /authorize asks for
}

func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "issuer.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	accounts, err := account.New(st, account.Options{Memory: 8, Passes: 1, Wait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, st: st, accounts: accounts, now: noon}
	w.asking = Request{Client: "shop", RedirectURI: "https://app.example/callback", Scopes: []string{"openid", "orders:read"}, State: "s", MaxAge: -1}
	w.server = httptest.NewTLSServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.server.Close)
	apps, err := client.NewRegistry([]client.Registration{
		{ID: "shop", Name: "The Shop", Type: client.Web, Sources: []string{"staff"}},
		{ID: "own", Name: "Ours", Type: client.Web, Sources: []string{"staff", "mail", "sms"}, FirstParty: true, SignUp: true},
		{ID: "markup", Name: `<script>alert(1)</script>"><img src=x>`, Type: client.Web, Sources: []string{"staff"}},
		{ID: "off", Type: client.Web, Sources: []string{"staff"}, Disabled: true},
		{ID: "nobody", Type: client.Web},
	}, false, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Issuer: w.server.URL, Store: st, Accounts: accounts, Key: make([]byte, 32), Clients: apps.Client, Sources: []account.Source{staff},
		Scopes: map[string]string{"orders:read": "See your orders"}, Name: "Example",
		Finish: func(rw http.ResponseWriter, r *http.Request, now time.Time, req Request, s store.Session, once ...store.Write) error {
			err := w.st.Apply(r.Context(), now, once...)
			if err != nil && (!errors.Is(err, store.ErrConflict) || w.fetched) {
				return err
			}
			return answer(rw, r, req, "code", s.Account+" "+s.ID)
		},
		Deny: func(rw http.ResponseWriter, r *http.Request, _ time.Time, req Request, code string) error {
			return answer(rw, r, req, "error", code)
		},
		End: func(_ context.Context, _ time.Time, s store.Session) ([]store.Write, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ended = append(w.ended, s.ID)
			return nil, nil
		},
		Tell: func(_ time.Time, account string) store.Write {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ended = append(w.ended, "all of "+account)
			return store.TellEnded{Message: func(string, string) (store.Delivery, bool) { return store.Delivery{}, false }}
		},
		Refused: func(_ *http.Request, _ int, e *oauth.Error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.refused = append(w.refused, e.Reason)
		},
	}
	rand.Read(o.Key)
	if change != nil {
		change(&o)
	}
	if w.p, err = New(o); err != nil {
		t.Fatal(err)
	}
	w.ann = w.create("ann", right)
	return w
}

// answer is what the authorization endpoint would answer.
func answer(w http.ResponseWriter, r *http.Request, req Request, name, value string) error {
	q := url.Values{name: {value}, "state": {req.State}}
	http.Redirect(w, r, req.RedirectURI+"?"+q.Encode(), http.StatusFound)
	return nil
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	now, req := w.now, w.asking
	w.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/portal") {
		if err := w.p.Serve(rw, r, now); err != nil {
			w.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		return
	}
	if err := w.p.Begin(rw, r, now, req); err != nil {
		http.Error(rw, err.Error(), http.StatusTeapot)
	}
}

func (w *world) create(name, password string) store.Account {
	w.t.Helper()
	a, writes, err := w.accounts.Create(w.t.Context(), noon, "operator", staff, account.Create{Username: name, Email: name + "@example.com", Password: password})
	if err != nil {
		w.t.Fatal(err)
	}
	w.apply(writes...)
	return a
}

func (w *world) apply(writes ...store.Write) {
	w.t.Helper()
	if err := w.st.Apply(w.t.Context(), noon, writes...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) ask(change func(*Request)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.asking)
}

// sessions are those of an account.
func (w *world) sessions(account string) []store.Session {
	w.t.Helper()
	list, err := w.st.SessionsOf(w.t.Context(), w.now, account)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// codes is a source of one-time codes: the code is the number of the sending.
type codes struct {
	mu   sync.Mutex
	sent []Destination
	who  map[string]store.Account // by address
	fail error
	soon bool         // for another code
	once *store.Store // where it is noted that a code is spent; nil: they stay good

	askers []string // the Once of each sending
}

func (c *codes) Kind(source string) (store.IdentifierKind, bool) {
	kind, ok := map[string]store.IdentifierKind{"mail": store.ByEmail, "sms": store.ByPhone}[source]
	return kind, ok
}

func (c *codes) Send(_ context.Context, _ time.Time, d Destination) (Sent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return Sent{}, c.fail
	}
	once := d.Once
	d.Once = ""
	if c.soon {
		for n := range c.sent {
			if c.askers[n] == once && c.sent[n] == d {
				return Sent{"token-" + strconv.Itoa(n+1), time.Minute, true}, nil
			}
		}
		return Sent{}, oauth.Fail(oauth.MailRateLimitExceeded, oauth.MailboxUsedUp)
	}
	c.sent, c.askers = append(c.sent, d), append(c.askers, once)
	return Sent{"token-" + strconv.Itoa(len(c.sent)), time.Minute, false}, nil
}

func (c *codes) Check(ctx context.Context, now time.Time, d Destination, token, code string) (store.Account, []store.Write, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := strconv.Atoi(code)
	if err != nil || token != "token-"+code || n > len(c.sent) || c.sent[n-1] != d {
		return store.Account{}, nil, oauth.Fail(oauth.InvalidGrant, oauth.WrongOTP)
	}
	var spend []store.Write
	if c.once != nil {
		key := hashOf(token)
		if used, err := c.once.Quota(ctx, now, key); err != nil || used.Taken > 0 {
			return store.Account{}, nil, oauth.Wrap(oauth.InvalidGrant, oauth.UnknownOTPToken, err)
		}
		spend = append(spend, store.TakeQuota{Key: key, Most: 1, Window: time.Hour})
	}
	who, ok := c.who[d.To]
	if !ok {
		return who, spend, oauth.Fail(oauth.InvalidGrant, oauth.UnknownUser)
	}
	return who, spend, nil
}

var _ OneTimeCodes = (*codes)(nil)

// addresses are proved by codes of the same kind, sent by mail.
type addresses struct{ *codes }

func (addresses) Kinds() []store.IdentifierKind { return []store.IdentifierKind{store.ByEmail} }

func (a addresses) SendTo(ctx context.Context, now time.Time, d Destination) (Sent, error) {
	return a.Send(ctx, now, d)
}

func (a addresses) Prove(ctx context.Context, now time.Time, d Destination, token, code string) (string, []store.Write, error) {
	_, writes, err := a.Check(ctx, now, d, token, code)
	if oauth.AsError(err).Reason == oauth.UnknownUser {
		err = nil
	}
	return d.To, writes, err
}
