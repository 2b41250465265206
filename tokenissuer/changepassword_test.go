package tokenissuer_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

const (
	isFrozen = "User is frozen."
	isLocked = "User is locked."
)

func (s *server) change(token, before, after string) answer {
	s.t.Helper()
	return s.json(http.MethodPost, changePath, object("old_password", before, "new_password", after), bearer(token))
}

func TestChangedPasswordEndsEverySignIn(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", mailbox)
	s.user("bob", "")
	mine, other, bobs := s.enter("ann", password), s.enter("ann", password), s.access("bob", password)
	a := s.change(mine.text(t, "access_token"), password, another)
	want(t, a, http.StatusOK, "")
	if a.header.Get("Content-Length") != "0" || a.header.Get("Content-Type") != "" {
		t.Errorf("%v", a.header)
	}
	for _, dead := range []answer{mine, other} {
		if got := s.userinfoStatus(dead.text(t, "access_token")); got != http.StatusUnauthorized {
			t.Errorf("access token: %d", got)
		}
		want(t, s.token(form("grant_type", "refresh_token", "client_id", "shop", "client_secret", secret, "refresh_token", dead.text(t, "refresh_token"))), http.StatusBadRequest, errorOf("invalid_grant"))
	}
	if got := s.userinfoStatus(bobs); got != http.StatusOK {
		t.Errorf("somebody else's token: %d", got)
	}
	want(t, s.enter("ann", password), http.StatusBadRequest, errorOf("invalid_grant", "Wrong username or password"))
	s.access("ann", another)
	s.silent(password, another)
}

func TestChangePasswordRows(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", mailbox)
	token := s.access("ann", password)
	robot := s.good(form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret)).text(t, "access_token")
	for _, c := range []struct {
		name string
		a    answer
		body string
	}{
		{"wrong old password", s.change(token, "wrong", another), errorOf("wrong_old_password")},
		{"wrong old password, short new one", s.change(token, "wrong", "x"), errorOf("wrong_old_password")},
		{"the same", s.change(token, password, password), errorOf("duplicate_password")},
		{"short", s.change(token, password, "short"), errorOf("invalid_new_password")},
		{"the name of the account", s.change(token, password, "ANN@example.com"), errorOf("invalid_new_password")},
		{"no new one", s.json(http.MethodPost, changePath, object("old_password", password), bearer(token)), missing("new_password")},
		{"no old one", s.json(http.MethodPost, changePath, object("new_password", password), bearer(token)), missing("old_password")},
		{"not JSON", s.json(http.MethodPost, changePath, "old_password="+password, bearer(token)), invalidRequest},
	} {
		t.Run(c.name, func(t *testing.T) { want(t, c.a, http.StatusBadRequest, c.body) })
	}
	for _, c := range []struct {
		name      string
		headers   []string
		status    int
		challenge string
	}{
		{"no token", nil, 400, `Bearer error="invalid_request", error_description="Bearer token not found in the request", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"`},
		{"garbage", []string{bearer("x")}, 401, `Bearer error="invalid_token", error_description="Error decoding JWT", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"`},
		{"without openid", []string{bearer(robot)}, 403, `Bearer error="insufficient_scope", error_description="The request requires higher privileges than provided by the access token.", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"`},
	} {
		for _, e := range []struct{ method, path string }{{http.MethodPost, changePath}, {http.MethodPatch, "/userinfo"}} {
			t.Run(c.name+" "+e.path, func(t *testing.T) {
				a := s.json(e.method, e.path, object("old_password", password, "new_password", another), c.headers...)
				want(t, a, c.status, "")
				if got := a.header.Get("WWW-Authenticate"); got != c.challenge {
					t.Errorf("%s", got)
				}
			})
		}
	}
	// Nothing of all this changed anything.
	s.access("ann", password)
	if got := s.userinfoStatus(token); got != http.StatusOK {
		t.Errorf("the token died: %d", got)
	}
	s.silent(password, another)
}

func TestChangePasswordOfFrozenAndLocked(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	for state, body := range map[store.AccountState]string{
		store.Frozen: errorOf("abnormal_user_status", isFrozen),
		store.Locked: errorOf("abnormal_user_status", isLocked),
	} {
		name := "ann_" + string(state)
		s.user(name, "")
		token := s.access(name, password)
		if _, err := s.issuer.SetUserState(t.Context(), name, state, ""); err != nil {
			t.Fatal(err)
		}
		want(t, s.change(token, password, another), http.StatusBadRequest, body)
		want(t, s.change(token, "wrong", another), http.StatusBadRequest, body)
		// Elsewhere the token is one that was revoked, and so it stays.
		if got := s.userinfoStatus(token); got != http.StatusUnauthorized {
			t.Errorf("userinfo: %d", got)
		}
		if _, err := s.issuer.SetUserState(t.Context(), name, store.Active, ""); err != nil {
			t.Fatal(err)
		}
		if a := s.change(token, password, another); a.status != http.StatusUnauthorized {
			t.Errorf("active again, with the old token: %d %s", a.status, a.body)
		}
	}
}

// TestGuessingTheOldPasswordLocks: who holds a stolen token guesses the password.
func TestGuessingTheOldPasswordLocks(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", "")
	token := s.access("ann", password)
	answers := make([]answer, 20)
	var wg sync.WaitGroup
	for n := range answers {
		wg.Go(func() { answers[n] = s.change(token, "wrong", another) })
	}
	wg.Wait()
	guesses := 0
	for _, a := range answers {
		switch a.body {
		case errorOf("wrong_old_password"):
			guesses++
		case errorOf("abnormal_user_status", isLocked):
		default:
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if guesses != 5 {
		t.Errorf("%d guesses were looked at", guesses)
	}
	want(t, s.change(token, password, another), http.StatusBadRequest, errorOf("abnormal_user_status", isLocked))
	want(t, s.enter("ann", password), http.StatusBadRequest, errorOf("invalid_grant", "Abnormal user status"))
}

// TestFormerPasswordsDoNotComeBack: password_history 3 is the present one and two
// before.
func TestFormerPasswordsDoNotComeBack(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", "")
	series := []string{password, "the second password", "the third password", "the fourth password"}
	for n := 1; n < len(series); n++ {
		token := s.access("ann", series[n-1])
		for back := 1; back < 3 && n-1-back >= 0; back++ {
			want(t, s.change(token, series[n-1], series[n-1-back]), http.StatusBadRequest, errorOf("recurrent_password"))
		}
		want(t, s.change(token, series[n-1], series[n]), http.StatusOK, "")
	}
	want(t, s.change(s.access("ann", series[3]), series[3], series[0]), http.StatusOK, "")
	// An operator who sets one keeps the others in mind.
	if err := s.issuer.SetUserPassword(t.Context(), "ann", "set by an operator"); err != nil {
		t.Fatal(err)
	}
	want(t, s.change(s.access("ann", "set by an operator"), "set by an operator", series[3]), http.StatusBadRequest, errorOf("recurrent_password"))
	s.silent(series...)
}

func TestOneOfTwoPasswordChangesWins(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", "")
	token := s.access("ann", password)
	next := []string{"first new password", "second new password", "third new password"}
	answers := make([]answer, len(next))
	var wg sync.WaitGroup
	for n := range answers {
		wg.Go(func() { answers[n] = s.change(token, password, next[n]) })
	}
	wg.Wait()
	won := -1
	for n, a := range answers {
		switch {
		case a.status == http.StatusOK && won < 0:
			won = n
		case a.status == http.StatusUnauthorized, a.body == errorOf("wrong_old_password"):
		default:
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if won < 0 {
		t.Fatal("nobody won")
	}
	s.access("ann", next[won])
}

func TestResetPassword(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.person(number, mailbox)
	for n, c := range []struct {
		kind, to, stored string
		headers, client  []string
	}{
		{"email", "ANN@example.com", mailbox, []string{basic("shop", secret)}, nil},
		{"phone_number", number, e164, nil, []string{"client_id", "shop", "client_secret", secret}},
	} {
		pass := another + strings.Repeat("!", n)
		proof := s.proof(p, "shop", "reset_password", c.kind, c.to, c.stored)
		body := object(append(append([]string{"password", pass}, proof...), c.client...)...)
		a := s.json(http.MethodPost, resetPath, body, c.headers...)
		want(t, a, http.StatusOK, "")
		want(t, s.json(http.MethodPost, resetPath, body, c.headers...), http.StatusBadRequest, errorOf("bad_"+c.kind+"_otp_token"))
		s.access(mailbox, pass)
	}
	s.silent(another)
}

func TestResetEndsEverySignIn(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", mailbox)
	token := s.access("ann", password)
	proof := s.proof(p, "shop", "reset_password", "email", mailbox, mailbox)
	want(t, s.json(http.MethodPost, resetPath, object(append(proof, "password", another)...), basic("shop", secret)), http.StatusOK, "")
	if got := s.userinfoStatus(token); got != http.StatusUnauthorized {
		t.Errorf("%d", got)
	}
}

// TestResetOpensALockedName: strangers locked it; who owns the mailbox comes back.
func TestResetOpensALockedName(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", mailbox)
	for range 5 {
		s.enter("ann", "wrong")
	}
	want(t, s.enter("ann", password), http.StatusBadRequest, errorOf("invalid_grant", "Abnormal user status"))
	proof := s.proof(p, "shop", "reset_password", "email", mailbox, mailbox)
	want(t, s.json(http.MethodPost, resetPath, object(append(proof, "password", another)...), basic("shop", secret)), http.StatusOK, "")
	s.access("ann", another)
}

func TestResetPasswordRows(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", mailbox)
	s.user("ice", "ice@example.com")
	proof := s.proof(p, "shop", "reset_password", "email", mailbox, mailbox)
	token, code := proof[3], proof[5]
	frozen := s.proof(p, "shop", "reset_password", "email", "ice@example.com", "ice@example.com")
	if _, err := s.issuer.SetUserState(t.Context(), "ice", store.Frozen, ""); err != nil {
		t.Fatal(err)
	}
	signup := s.proof(p, "shop", "signup", "email", "new@example.com", "new@example.com")
	unknown := s.ask("shop", "usage", "reset_password", "email", "nobody@example.com")
	reset := func(client string, pairs ...string) answer {
		return s.json(http.MethodPost, resetPath, object(pairs...), basic(client, secret))
	}
	for _, c := range []struct {
		name   string
		a      answer
		status int
		body   string
	}{
		{"policy", reset("shop", append(proof, "password", "short")...), 400, errorOf("invalid_new_password")},
		{"the present one", reset("shop", append(proof, "password", password)...), 400, errorOf("recurrent_password")},
		{"frozen", reset("shop", append(frozen, "password", another)...), 400, errorOf("abnormal_user_status", isFrozen)},
		{"no token", reset("shop", "email", mailbox, "password", another), 400, errorOf("bad_email_otp_token")},
		{"unknown token", reset("shop", "email", mailbox, "email_otp_token", "x", "email_otp", code, "password", another), 400, errorOf("bad_email_otp_token")},
		{"another address", reset("shop", "email", "ice@example.com", "email_otp_token", token, "email_otp", code, "password", another), 400, errorOf("bad_email_otp_token")},
		{"another client", reset("mailonly", append(proof, "password", another)...), 400, errorOf("bad_email_otp_token")},
		{"a code for signing up", reset("shop", append(signup, "password", another)...), 400, errorOf("bad_email_otp_token")},
		{"no code", reset("shop", "email", mailbox, "email_otp_token", token, "password", another), 400, errorOf("bad_email_otp")},
		{"wrong code", reset("shop", "email", mailbox, "email_otp_token", token, "email_otp", wrong(code), "password", another), 400, errorOf("bad_email_otp")},
		{"phone, no token", reset("shop", "phone_number", number, "password", another), 400, errorOf("bad_phone_number_otp_token")},
		{"phone, no code", reset("shop", "phone_number", number, "phone_number_otp_token", "x", "password", another), 400, errorOf("bad_phone_number_otp")},
		{"an address of nobody", reset("shop", "email", "nobody@example.com", "email_otp_token", unknown, "email_otp", "123456", "password", another), 400, errorOf("bad_email_otp")},
		{"no password", reset("shop", proof...), 400, missing("password")},
		{"no address", reset("shop", "password", another), 400, invalidRequest},
		{"two addresses", reset("shop", append(proof, "phone_number", number, "password", another)...), 400, invalidRequest},
		{"a machine", reset("robot", append(proof, "password", another)...), 400, errorOf("unauthorized_client")},
		{"wrong secret", s.json(http.MethodPost, resetPath, object(append(proof, "password", another)...), basic("shop", "wrong")), 401, invalidClient},
		{"no client", s.json(http.MethodPost, resetPath, object(append(proof, "password", another)...)), 401, ""},
		{"web without its secret", s.json(http.MethodPost, resetPath, object(append(proof, "password", another, "client_id", "shop")...)), 401, invalidClient},
		{"spa by its id", s.json(http.MethodPost, resetPath, object(append(proof, "password", another, "client_id", "spa")...)), 400, errorOf("bad_email_otp_token")},
	} {
		t.Run(c.name, func(t *testing.T) { want(t, c.a, c.status, c.body) })
	}
	s.access("ann", password)
	want(t, reset("shop", append(proof, "password", another)...), http.StatusOK, "")
	s.silent(password, another, code)
}

// TestNewPasswordIsToldToTheClientsOfTheSession: it ends browser sessions as a
// person does who signs out.
func TestNewPasswordIsToldToTheClientsOfTheSession(t *testing.T) {
	told := listen(t)
	c := authorizing()
	for n := range c.Clients {
		if c.Clients[n].ID == "shop" {
			c.Clients[n].BackchannelLogoutURI = told.URL
		}
	}
	s := start(t, c)
	u := s.user("alice", "")
	b := s.browser()
	code := b.signedIn(authorizePath("shop"), "alice").Get("code")
	a := s.good(form("client_id", "shop", "client_secret", secret, "grant_type", "authorization_code", "code", code, "redirect_uri", callback))
	want(t, s.change(a.text(t, "access_token"), "wrong", another), http.StatusBadRequest, errorOf("wrong_old_password"))
	want(t, s.change(a.text(t, "access_token"), password, another), http.StatusOK, "")
	if _, claims := decoded(t, told.next(t)); !strings.Contains(claims, u.ID) {
		t.Errorf("claims: %s", claims)
	}
	if page := b.follow(b.get(authorizePath("shop"))); page.header.Get("Location") != "" {
		t.Errorf("the browser is still signed in: %s", page.header.Get("Location"))
	}
	if len(told.got) > 0 {
		t.Error("told twice, or of a change that was refused")
	}
}

// TestLaxSourceIsNoWayAround: the rules of all sources hold for a new password.
func TestLaxSourceIsNoWayAround(t *testing.T) {
	c := tokenissuer.Config{
		Sources: []tokenissuer.Source{{ID: "password", Type: "password"}, {ID: "strict", Type: "password", PasswordMinLength: 20, PasswordHistory: 2}},
		Clients: []tokenissuer.Client{{ID: "shop", Type: "web", Secrets: []string{secret}, Grants: []string{"password"}, Sources: []string{"password"}, SignUp: true}},
	}
	s := start(t, c)
	s.user("alice", "")
	token := s.good(signIn("shop", "alice")+"&client_secret="+secret).text(t, "access_token")
	want(t, s.change(token, password, "nineteen characters"), http.StatusBadRequest, errorOf("invalid_new_password"))
	want(t, s.json(http.MethodPost, signupPath, object("username", "bob", "password", "nineteen characters"), basic("shop", secret)), http.StatusBadRequest, errorOf("invalid_password"))
	want(t, s.change(token, password, "twenty characters it"), http.StatusOK, "")
}

// TestResetOfWhoHasLeft: the code was sent, then the account was removed.
func TestResetOfWhoHasLeft(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", mailbox)
	proof := s.proof(p, "shop", "reset_password", "email", mailbox, mailbox)
	if err := s.issuer.RemoveUser(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	want(t, s.json(http.MethodPost, resetPath, object(append(proof, "password", another)...), basic("shop", secret)), http.StatusBadRequest, errorOf("user_not_found"))
}
