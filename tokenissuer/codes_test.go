package tokenissuer

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/portal"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// noon is far ahead: what lives for minutes from then on is swept by nobody whose clock is right.
var noon = time.Date(2126, 11, 20, 12, 0, 0, 0, time.UTC)

// developing is an issuer on loopback, whose messages go to the inbox.
func developing(t *testing.T, config Config) *Issuer {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "issuer.db"))
	if err != nil {
		t.Fatal(err)
	}
	config.Issuer, config.Development = "http://localhost:8080", true
	config.Sources = []Source{{ID: "sms", Type: TypeSMSOTP}, {ID: "mail", Type: TypeEmailOTP}}
	config.Clients = []Client{{ID: "shop", Type: "web", Secrets: []string{"shop-secret-0123456789abcdef"}, Grants: GrantsOTP, Sources: []string{"sms", "mail"}}}
	state, err := OpenState(t.Context(), st, config.KeyRules(""), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := state.Close(); err != nil {
			t.Error(err)
		}
	})
	i, err := New(config, state)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// sends is why a message is not sent, "" where it is, and how long to wait.
func sends(t *testing.T, i *Issuer, at time.Time, p parcel) (oauth.Reason, time.Duration) {
	t.Helper()
	if p.Kind == "" {
		p.Kind = store.ByPhone
	}
	p.by, p.digits, p.lifetime = "sms", 6, time.Minute
	_, err := i.codes.send(t.Context(), at, p)
	if err == nil {
		return "", 0
	}
	e := oauth.AsError(err)
	return e.Reason, e.Retry
}

func to(client, number string) parcel {
	return parcel{Sending: account.Sending{Client: client, Usage: account.ForLogin, To: number}}
}

// TestLimitsOfANumber is 1 in 30 seconds and 50 in a day.
func TestLimitsOfANumber(t *testing.T) {
	i := developing(t, Config{})
	at := noon
	for n := range 50 {
		if got, _ := sends(t, i, at, to("shop", "13612345678")); got != "" {
			t.Fatalf("message %d: %s", n, got)
		}
		soon := at.Add(30*time.Second - time.Millisecond)
		if got, wait := sends(t, i, soon, to("shop", "+8613612345678")); got != oauth.NumberUsedUp || wait != time.Millisecond {
			t.Fatalf("right after message %d: %q, wait %v", n, got, wait)
		}
		at = at.Add(30 * time.Second)
	}
	got, wait := sends(t, i, at, to("shop", "13612345678"))
	if got != oauth.NumberUsedUp || wait != noon.Add(24*time.Hour).Sub(at) {
		t.Errorf("message 51: %q, wait %v", got, wait)
	}
	if got, _ := sends(t, i, at, to("shop", "13612345679")); got != "" {
		t.Errorf("another number: %s", got)
	}
	if got, _ := sends(t, i, noon.Add(24*time.Hour), to("shop", "13612345678")); got != "" {
		t.Errorf("a day later: %s", got)
	}
}

func TestLimitOfAClient(t *testing.T) {
	i := developing(t, Config{OTPPerClient: Rate{20, time.Hour}})
	number := func(n int) string { return strconv.Itoa(13612345000 + n) }
	for n := range 20 {
		if got, _ := sends(t, i, noon, to("shop", number(n))); got != "" {
			t.Fatalf("message %d: %s", n, got)
		}
	}
	if got, wait := sends(t, i, noon.Add(time.Minute), to("shop", number(20))); got != oauth.SMSUsedUp || wait != 59*time.Minute {
		t.Errorf("%q, wait %v", got, wait)
	}
	if got, _ := sends(t, i, noon, to("other", number(20))); got != "" {
		t.Errorf("another client: %s", got)
	}
	if got, _ := sends(t, i, noon.Add(time.Hour), to("shop", number(20))); got != "" {
		t.Errorf("an hour later: %s", got)
	}
}

// A browser at the portal, and an app without a secret, count by address; an
// IPv6 host has one /64 of them.
func TestLimitOfAnAddress(t *testing.T) {
	i := developing(t, Config{})
	n := 0
	from := func(address string) (oauth.Reason, time.Duration) {
		n++
		p := to("shop", strconv.Itoa(13612345000+n))
		p.unproven, p.from = true, netip.MustParseAddr(address)
		return sends(t, i, noon, p)
	}
	for range perAddress.Count {
		if got, _ := from("2001:db8::" + strconv.Itoa(n+1)); got != "" {
			t.Fatal(got)
		}
	}
	if got, wait := from("2001:db8::ffff"); got != oauth.TooManyRequests || wait != time.Hour {
		t.Errorf("%q, wait %v", got, wait)
	}
	if got, _ := from("2001:db8:0:1::1"); got != "" {
		t.Errorf("the next network: %s", got)
	}
}

// A written rate replaces the default it is like, and leaves the other.
func TestRatesOfANumber(t *testing.T) {
	for _, c := range []struct {
		written, want []Rate
	}{
		{nil, []Rate{DefaultOTPPause, DefaultOTPPerNumber}},
		{[]Rate{{3, time.Minute}}, []Rate{{3, time.Minute}, DefaultOTPPerNumber}},
		{[]Rate{{5, time.Hour}}, []Rate{{5, time.Hour}, DefaultOTPPause}},
		{[]Rate{{3, time.Minute}, {5, time.Hour}}, []Rate{{3, time.Minute}, {5, time.Hour}}},
	} {
		got := otpPerNumber(c.written)
		if len(got) != len(c.want) {
			t.Errorf("%v: %v", c.written, got)
			continue
		}
		for n := range got {
			if got[n] != c.want[n] {
				t.Errorf("%v: %v, want %v", c.written, got, c.want)
			}
		}
	}
}

// A browser that asks again before the pause is over gets no second message, and
// is led to the first one. After the pause the newest code is the only one.
func TestPortalSendsOneCodeAtATime(t *testing.T) {
	var got []message.Message
	i := developing(t, Config{Inbox: func(m message.Message) { got = append(got, m) }})
	d := portal.Destination{Source: "mail", To: "ann@example.com", Once: "a browser"}
	send := func(after time.Duration, d portal.Destination) (portal.Sent, oauth.Reason) {
		t.Helper()
		sent, err := i.codes.Send(t.Context(), noon.Add(after), d)
		if err != nil {
			return portal.Sent{}, oauth.AsError(err).Reason
		}
		return sent, ""
	}
	check := func(after time.Duration, code string) oauth.Reason {
		t.Helper()
		sent, _ := send(after, d)
		_, _, err := i.codes.Check(t.Context(), noon.Add(after), d, sent.Token, code)
		return oauth.AsError(err).Reason
	}
	first, _ := send(0, d)
	if again, refused := send(time.Second, d); again.Token != first.Token || !again.Before || again.Lifetime != first.Lifetime-time.Second || first.Before || len(got) != 1 {
		t.Errorf("pressed twice: %+v after %+v, %s, %d messages", again, first, refused, len(got))
	}
	for name, other := range map[string]portal.Destination{
		"another browser": {Source: "mail", To: d.To, Once: "another"}, "no browser": {Source: "mail", To: d.To},
	} {
		if sent, refused := send(time.Second, other); sent.Token != "" || refused != oauth.MailboxUsedUp {
			t.Errorf("%s: %+v %s", name, sent, refused)
		}
	}
	if later, refused := send(31*time.Second, d); later.Token == "" || later.Before || len(got) != 2 {
		t.Fatalf("after the pause: %+v %s, %d messages", later, refused, len(got))
	}
	if refused := check(40*time.Second, got[0].Code); refused != oauth.WrongOTP {
		t.Errorf("the first code: %s", refused)
	}
	if refused := check(41*time.Second, got[1].Code); refused != oauth.UnknownUser { // right, and nobody's
		t.Errorf("the second code: %s", refused)
	}
	for n := range 4 {
		if refused := check(42*time.Second, "x"); refused != oauth.WrongOTP {
			t.Errorf("wrong code %d: %s", n, refused)
		}
	}
	// Nobody is led to a code that was guessed at too often.
	if sent, refused := send(43*time.Second, d); refused != oauth.MailboxUsedUp {
		t.Errorf("after five wrong codes: %+v %s", sent, refused)
	}
}

// The portal signs people in with the same codes.
func TestPortalSendsAndChecksCodes(t *testing.T) {
	var got []message.Message
	i := developing(t, Config{Inbox: func(m message.Message) { got = append(got, m) }})
	u, err := i.AddUser(t.Context(), NewUser{Email: "ann@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	var codes portal.OneTimeCodes = i.codes
	if kind, ok := codes.Kind("mail"); kind != store.ByEmail || !ok {
		t.Errorf("%q %v", kind, ok)
	}
	if _, ok := codes.Kind("staff"); ok {
		t.Error("an unknown source sends codes")
	}
	d := portal.Destination{Source: "mail", To: "Ann@example.com", Locale: "zh"}
	sent, err := codes.Send(t.Context(), noon, d)
	if err != nil {
		t.Fatal(err)
	}
	token, m := sent.Token, got[0]
	if m.To != "ann@example.com" || m.Locale != "zh" || m.ClientID != "" || len(got) != 1 {
		t.Errorf("%v to %s in %s", got, m.To, m.Locale)
	}
	if _, _, err := codes.Check(t.Context(), noon, d, token, m.Code+"1"); oauth.AsError(err).Reason != oauth.WrongOTP {
		t.Errorf("wrong code: %v", err)
	}
	elsewhere := d
	elsewhere.Client = "shop"
	if _, _, err := codes.Check(t.Context(), noon, elsewhere, token, m.Code); oauth.AsError(err).Reason != oauth.MismatchedOTP {
		t.Errorf("for another client: %v", err)
	}
	who, writes, err := codes.Check(t.Context(), noon, d, token, m.Code)
	if err != nil || who.ID != u.ID || !who.EmailVerified {
		t.Fatalf("%+v %v", who, err)
	}
	if err := i.state.store.Apply(t.Context(), noon, writes...); err != nil {
		t.Fatal(err)
	}
	if _, _, err := codes.Check(t.Context(), noon, d, token, m.Code); oauth.AsError(err).Reason != oauth.UnknownOTPToken {
		t.Errorf("once more: %v", err)
	}
	// The code of a sign-in proves an address that nobody has yet, too.
	d.To = "new@example.com"
	if sent, err = codes.Send(t.Context(), noon, d); err != nil {
		t.Fatal(err)
	}
	d.Kind = store.ByEmail
	if to, _, err := (addresses{i.codes, i.client}).Prove(t.Context(), noon, d, sent.Token, got[1].Code); to != d.To || err != nil {
		t.Errorf("proved %q %v", to, err)
	}
	if _, err := codes.Send(t.Context(), noon, portal.Destination{Source: "staff", To: "a@x.example"}); oauth.AsError(err).Reason != oauth.SourceNotAssociated {
		t.Errorf("a source that sends none: %v", err)
	}
}

// styleOf is the address of a page's style sheet.
func styleOf(body string) string {
	_, rest, _ := strings.Cut(body, `<link rel="stylesheet" href="`)
	address, _, _ := strings.Cut(rest, `"`)
	return "http://localhost:8080" + address
}

// The inbox is for whoever sits at the machine, under the issuer's own name.
func TestInboxIsSeenFromHereAlone(t *testing.T) {
	i := developing(t, Config{Portal: Portal{Name: "<b>Shop</b>"}})
	if got, _ := sends(t, i, noon, to("shop", "13612345678")); got != "" {
		t.Fatal(got)
	}
	for _, r := range []struct {
		name, host, from string
		status           int
	}{
		{"here", "localhost:8080", "127.0.0.1:1234", http.StatusOK},
		{"here, IPv6", "localhost:8080", "[::1]:1234", http.StatusOK},
		{"another machine", "localhost:8080", "192.0.2.1:1234", http.StatusNotFound},
		{"another site's name for this machine", "evil.example", "127.0.0.1:1234", http.StatusNotFound},
	} {
		t.Run(r.name, func(t *testing.T) {
			hr := httptest.NewRequestWithContext(t.Context(), http.MethodGet, inboxPath, nil)
			hr.Host, hr.RemoteAddr = r.host, r.from
			if !i.Handles(hr) {
				t.Fatal("not served")
			}
			w := httptest.NewRecorder()
			i.ServeHTTP(w, hr)
			body := w.Body.String()
			if w.Code != r.status || strings.Contains(body, "8613612345678") != (r.status == http.StatusOK) {
				t.Errorf("%d %s", w.Code, body)
			}
			if style := styleOf(body); r.status == http.StatusOK && !i.Handles(httptest.NewRequestWithContext(t.Context(), http.MethodGet, style, nil)) {
				t.Errorf("%q is not served", style)
			}
			if strings.Contains(body, "<b>Shop") || r.status == http.StatusOK && !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("%v %s", w.Header(), body)
			}
		})
	}
}

// Pages and messages name a site without a name alike: a port is nobody's name.
func TestSiteWithoutANameIsItsHost(t *testing.T) {
	var got []message.Message
	i := developing(t, Config{Inbox: func(m message.Message) { got = append(got, m) }})
	sends(t, i, noon, to("shop", "13612345678"))
	hr := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost:8080"+inboxPath, nil)
	hr.RemoteAddr = "127.0.0.1:1234"
	w := httptest.NewRecorder()
	i.ServeHTTP(w, hr)
	if body := w.Body.String(); !strings.Contains(body, `<span class="name">localhost</span>`) || !strings.Contains(got[0].Text, " localhost:") {
		t.Errorf("%s\n%s", got[0].Text, body)
	}
}
