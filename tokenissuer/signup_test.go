package tokenissuer_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

const (
	notEnabled   = "Sign up flow of the application is not enabled."
	missingAttr  = "Missing required sign-up attribute(s)."
	unconfigured = "Unconfigured sign-up attribute(s) found."
	unknownAttr  = "Unknown attribute(s) found."
	noSource     = "No password auth source is associated with the application."
)

func TestSignupAnswer(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	pairs := []string{"username", "New_Ann", "password", another, "name", "Ann", "nickname", "A", "zoneinfo", "Asia/Shanghai", "locale", "zh-CN", "department", "eu"}
	pairs = append(pairs, s.proof(p, "shop", "signup", "email", "Ann@Example.com", mailbox)...)
	pairs = append(pairs, s.proof(p, "shop", "signup", "phone_number", number, e164)...)
	a := s.json(http.MethodPost, signupPath, object(pairs...), basic("shop", secret))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" || keys(t, a.body) != "sub" || len(a.text(t, "sub")) != 36 {
		t.Fatalf("%d %s %v", a.status, a.body, a.header)
	}
	if a.header.Get("Set-Cookie") != "" {
		t.Error("somebody was signed in")
	}
	for _, name := range []string{"new_ann", "NEW_ANN", "ann@example.com"} {
		got := s.send(http.MethodGet, "/userinfo", "", bearer(s.access(name, another)))
		want := `{"department":"eu","email":"ann@example.com","locale":"zh-CN","name":"Ann","nickname":"A","phone_number":"+8613612345678","sub":"` + a.text(t, "sub") + `","zoneinfo":"Asia/Shanghai"}`
		if got.body != want {
			t.Errorf("%s\nwant %s", got.body, want)
		}
	}
	_, id := decoded(t, s.enter("new_ann", another).text(t, "id_token"))
	if !strings.Contains(id, `"department":"eu"`) {
		t.Errorf("ID token: %s", id)
	}
	s.silent(another, secret)
}

func TestSignupRows(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("taken", "taken@example.com")
	s.person("13700000001", "")
	before := s.users()
	good := s.proof(p, "shop", "signup", "email", "new@example.com", "new@example.com")
	goodPhone := s.proof(p, "shop", "signup", "phone_number", number, e164)
	with := func(pairs []string, name, value string) []string {
		var out []string
		for n := 0; n < len(pairs); n += 2 {
			if pairs[n] == name {
				out = append(out, name, value)
				continue
			}
			out = append(out, pairs[n:n+2]...)
		}
		return out
	}
	ok := []string{"username", "bob", "password", another}
	for _, c := range []struct {
		name   string
		client string
		pairs  []string
		body   string
	}{
		{"client without signup", "second", ok, errorOf("misconfigured", notEnabled)},
		{"mobile client with signup", "kiosk", ok, errorOf("misconfigured", notEnabled)},
		{"machine", "robot", ok, errorOf("misconfigured", notEnabled)},
		{"nothing but a password", "shop", []string{"password", another}, errorOf("invalid_request", missingAttr)},
		{"nothing but a name", "shop", []string{"username", "bob"}, errorOf("invalid_request", missingAttr)},
		{"empty username", "shop", []string{"username", "", "password", another}, errorOf("invalid_request", missingAttr)},
		{"a code without its address", "shop", append([]string{"email_otp", "123456"}, ok...), errorOf("invalid_request", missingAttr)},
		{"username where codes alone sign in", "mailonly", []string{"username", "bob", "email", "new@example.com"}, errorOf("invalid_request", unconfigured)},
		{"phone where no source takes one", "plain", append([]string{"phone_number", number}, ok...), errorOf("invalid_request", unconfigured)},
		{"verified by its own word", "shop", append([]string{"email_verified", "true"}, ok...), errorOf("invalid_request")},
		{"verified by its own word, as text", "shop", append([]string{"email_verified", "yes"}, ok...), errorOf("invalid_request", unconfigured)},
		{"an operator's attribute", "shop", append([]string{"role", "admin"}, ok...), errorOf("invalid_request", unconfigured)},
		{"sub", "shop", append([]string{"sub", "1"}, ok...), errorOf("invalid_request", unconfigured)},
		{"unknown attribute", "shop", append([]string{"shoe_size", "42"}, ok...), errorOf("invalid_request", unknownAttr)},
		{"unknown beside unconfigured", "shop", append([]string{"sub", "1", "shoe_size", "42"}, ok...), errorOf("invalid_request", unknownAttr)},
		{"username that begins with a digit", "shop", with(ok, "username", "1bob"), errorOf("invalid_username")},
		{"username of 33", "shop", with(ok, "username", strings.Repeat("b", 33)), errorOf("invalid_username")},
		{"username with a dash", "shop", with(ok, "username", "bob-by"), errorOf("invalid_username")},
		{"username in another script", "shop", with(ok, "username", "ボブ"), errorOf("invalid_username")},
		{"username in full width", "shop", with(ok, "username", `\uff22ob`), errorOf("invalid_username")},
		{"username taken", "shop", with(ok, "username", "taken"), errorOf("duplicate_username")},
		{"username taken in another case", "shop", with(ok, "username", "TAKEN"), errorOf("duplicate_username")},
		{"phone malformed", "shop", with(goodPhone, "phone_number", "136123"), errorOf("malformed_phone_number")},
		{"phone without a token", "shop", []string{"phone_number", number}, errorOf("bad_phone_number_otp_token")},
		{"phone with a token of nobody", "shop", with(goodPhone, "phone_number_otp_token", "x"), errorOf("bad_phone_number_otp_token")},
		{"phone, the token of another number", "shop", with(goodPhone, "phone_number", "13700000009"), errorOf("bad_phone_number_otp_token")},
		{"phone without a code", "shop", with(goodPhone, "phone_number_otp", ""), errorOf("bad_phone_number_otp")},
		{"phone with a wrong code", "shop", with(goodPhone, "phone_number_otp", wrong(goodPhone[5])), errorOf("bad_phone_number_otp")},
		{"e-mail malformed", "shop", with(good, "email", "new@"), errorOf("malformed_email")},
		{"e-mail without a token", "shop", []string{"email", "new@example.com"}, errorOf("bad_email_otp_token")},
		{"e-mail with the token of a phone", "shop", with(good, "email_otp_token", goodPhone[3]), errorOf("bad_email_otp_token")},
		{"e-mail by another client", "mailonly", good, errorOf("bad_email_otp_token")},
		{"e-mail with a wrong code", "shop", with(good, "email_otp", wrong(good[5])), errorOf("bad_email_otp")},
		{"e-mail with the code of the phone's length", "shop", with(good, "email_otp", "1"), errorOf("bad_email_otp")},
		{"password where codes alone sign in", "mailonly", []string{"email", "new@example.com", "password", another}, errorOf("misconfigured", noSource)},
		{"short password", "shop", with(ok, "password", "short"), errorOf("invalid_password")},
		{"password that is the name", "shop", []string{"username", "bob_the_builder", "password", "Bob_the_Builder"}, errorOf("invalid_password")},
		{"zone that is none", "shop", append([]string{"zoneinfo", "my place"}, ok...), errorOf("illegal_parameter_value")},
		{"attribute too long", "shop", append([]string{"department", strings.Repeat("x", 257)}, ok...), errorOf("illegal_parameter_value")},
		{"name with a control character", "shop", append([]string{"name", `a\r\nX: 1`}, ok...), errorOf("illegal_parameter_value")},
	} {
		t.Run(c.name, func(t *testing.T) {
			want(t, s.json(http.MethodPost, signupPath, object(c.pairs...), basic(c.client, secret)), http.StatusBadRequest, c.body)
		})
	}
	if got := s.users(); got != before {
		t.Errorf("%d accounts were stored", got-before)
	}
	// All that was refused used nothing up.
	if a := s.json(http.MethodPost, signupPath, object(append(good, goodPhone...)...), basic("shop", secret)); a.status != http.StatusOK {
		t.Errorf("the codes were used up: %d %s", a.status, a.body)
	}
	s.silent(another, good[3], good[5], goodPhone[3], goodPhone[5])
}

func TestSignupDuplicateAddresses(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	// The codes are asked for while the addresses are free; whose they are then is
	// told to who reads them.
	email := s.proof(p, "shop", "signup", "email", "late@example.com", "late@example.com")
	phone := s.proof(p, "shop", "signup", "phone_number", number, e164)
	s.person(number, "late@example.com")
	want(t, s.json(http.MethodPost, signupPath, object(email...), basic("shop", secret)), http.StatusBadRequest, errorOf("duplicate_email"))
	want(t, s.json(http.MethodPost, signupPath, object(phone...), basic("shop", secret)), http.StatusBadRequest, errorOf("duplicate_phone_number"))
	if n := s.users(); n != 1 {
		t.Errorf("%d accounts", n)
	}
}

func TestSignupClients(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	ok := object("username", "bob", "password", another)
	for _, c := range []struct {
		name    string
		headers []string
		body    string
		status  int
		answer  string
		basic   bool
	}{
		{"none", nil, ok, 401, "", false},
		{"wrong secret", []string{basic("shop", "wrong")}, ok, 401, invalidClient, true},
		{"unknown", []string{basic("nobody", secret)}, ok, 401, invalidClient, true},
		{"disabled", []string{basic("off", secret)}, ok, 401, invalidClient, true},
		{"of the other family", []string{basic("legacy", secret)}, ok, 401, invalidClient, true},
		{"id alone", nil, object("client_id", "shop", "username", "bob", "password", another), 401, invalidClient, false},
		{"spa by its id", nil, object("client_id", "spa", "username", "bob", "password", another), 401, invalidClient, false},
		{"two at once", []string{basic("shop", secret)}, object("client_secret", secret, "username", "bob"), 400, invalidRequest, false},
		{"number", []string{basic("shop", secret)}, `{"username":"bob","password":12345678}`, 400, invalidRequest, false},
		{"null", []string{basic("shop", secret)}, `{"username":"bob","password":null}`, 400, invalidRequest, false},
		{"nested", []string{basic("shop", secret)}, `{"username":{"a":"bob"}}`, 400, invalidRequest, false},
		{"array", []string{basic("shop", secret)}, `["username"]`, 400, invalidRequest, false},
		{"twice", []string{basic("shop", secret)}, `{"username":"bob","username":"eve"}`, 400, missing("username"), false},
		{"cut short", []string{basic("shop", secret)}, `{"username":"bob"`, 400, invalidRequest, false},
		{"lone surrogate", []string{basic("shop", secret)}, `{"username":"bob","password":"\ud800aaaaaaaa"}`, 400, invalidRequest, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.json(http.MethodPost, signupPath, c.body, c.headers...)
			want(t, a, c.status, c.answer)
			if got := a.header.Get("WWW-Authenticate") != ""; got != c.basic {
				t.Errorf("WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
			}
		})
	}
	t.Run("content type", func(t *testing.T) {
		a := s.send(http.MethodPost, signupPath, ok, "Content-Type: text/plain", basic("shop", secret))
		want(t, a, 400, errorOf("invalid_request", "Unsupported content type"))
	})
	t.Run("GET", func(t *testing.T) {
		if a := s.send(http.MethodGet, signupPath, ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
			t.Errorf("%d %v", a.status, a.header)
		}
	})
	t.Run("form, client in the body", func(t *testing.T) {
		a := s.send(http.MethodPost, signupPath, form("client_id", "shop", "client_secret", secret, "username", "bob", "password", another))
		if a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// TestNameGoesToOneOfTwo: two people sign up at once with one name.
func TestNameGoesToOneOfTwo(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	for _, name := range []string{"ann", "bob", "eve"} {
		answers := make([]answer, 8)
		var wg sync.WaitGroup
		for n := range answers {
			wg.Go(func() {
				answers[n] = s.json(http.MethodPost, signupPath, object("username", name, "password", another), basic("shop", secret))
			})
		}
		wg.Wait()
		won := 0
		for _, a := range answers {
			switch {
			case a.status == http.StatusOK:
				won++
			case a.status != http.StatusBadRequest || a.body != errorOf("duplicate_username"):
				t.Errorf("%d %s", a.status, a.body)
			}
		}
		if won != 1 {
			t.Errorf("%d won", won)
		}
	}
	if n := s.users(); n != 3 {
		t.Errorf("%d accounts", n)
	}
}

// TestCodeOpensOneAccount: one code, shown in two sign-ups at once.
func TestCodeOpensOneAccount(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	pairs := s.proof(p, "shop", "signup", "email", mailbox, mailbox)
	answers := make([]answer, 6)
	var wg sync.WaitGroup
	for n := range answers {
		wg.Go(func() { answers[n] = s.json(http.MethodPost, signupPath, object(pairs...), basic("shop", secret)) })
	}
	wg.Wait()
	won := 0
	for _, a := range answers {
		switch {
		case a.status == http.StatusOK:
			won++
		case a.status == http.StatusBadRequest && (a.body == errorOf("duplicate_email") || a.body == errorOf("bad_email_otp_token")):
		case a.status == http.StatusServiceUnavailable: // more shown at once than a code has tries
		default:
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if n := s.users(); won != 1 || n != 1 {
		t.Errorf("%d won, %d accounts", won, n)
	}
	// Nor does it open one when the address is free again.
	if err := s.issuer.RemoveUser(t.Context(), mailbox); err != nil {
		t.Fatal(err)
	}
	want(t, s.json(http.MethodPost, signupPath, object(pairs...), basic("shop", secret)), http.StatusBadRequest, errorOf("bad_email_otp_token"))
}

// TestSameNameIsAnotherPerson: an account is removed, and its name taken again.
func TestSameNameIsAnotherPerson(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	open := func() string {
		t.Helper()
		a := s.json(http.MethodPost, signupPath, object("username", "ann", "password", another), basic("shop", secret))
		if a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return a.text(t, "sub")
	}
	first := open()
	old := s.enter("ann", another)
	if err := s.issuer.RemoveUser(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if second := open(); second == first {
		t.Error("the sub was given again")
	}
	token := old.text(t, "access_token")
	want(t, s.send(http.MethodGet, "/userinfo", "", bearer(token)), http.StatusNotFound, errorOf("user_not_found"))
	want(t, s.json(http.MethodPatch, "/userinfo", `{"name":"x"}`, bearer(token)), http.StatusNotFound, errorOf("user_not_found"))
	want(t, s.json(http.MethodPost, changePath, object("old_password", another, "new_password", password), bearer(token)), http.StatusBadRequest, errorOf("user_not_found"))
	want(t, s.token(form("grant_type", "refresh_token", "client_id", "shop", "client_secret", secret, "refresh_token", old.text(t, "refresh_token"))), http.StatusBadRequest, errorOf("invalid_grant"))
	s.access("ann", another)
}

// TestAccountPathsAreServedWhileUsed: what no client needs may be a backend's.
func TestAccountPathsAreServedWhileUsed(t *testing.T) {
	robots := start(t, tokenissuer.Config{Clients: []tokenissuer.Client{
		{ID: "robot", Type: "m2m", Secrets: []string{secret}, Grants: []string{"client_credentials"}, Scopes: []string{"x"}},
	}})
	people := start(t, tokenissuer.Config{})
	p := newPost(t)
	all := start(t, p.accounts())
	for _, c := range []struct {
		path                string
		robots, people, all bool
	}{
		{"/userinfo", true, true, true},
		{changePath, false, true, true},
		{resetPath, false, false, true},
		{signupPath, false, false, true},
	} {
		for s, want := range map[*server]bool{robots: c.robots, people: c.people, all: c.all} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.issuer.Handles(r); got != want {
				t.Errorf("%s: %v, want %v", c.path, got, want)
			}
		}
	}
}
