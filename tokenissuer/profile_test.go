package tokenissuer_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

const unsupported = "Unsupported user attribute(s) found."

func (s *server) patch(token string, pairs ...string) answer {
	s.t.Helper()
	return s.json(http.MethodPatch, "/userinfo", object(pairs...), bearer(token))
}

func TestPatchUserinfo(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	sub := s.user("ann", mailbox).ID
	token := s.access("ann", password)
	for _, c := range []struct {
		pairs []string
		body  string
	}{
		{[]string{"name", "Ann", "nickname", "A", "department", "eu"}, `{"department":"eu","email":"ann@example.com","name":"Ann","nickname":"A","sub":"` + sub + `"}`},
		{[]string{"zoneinfo", "Europe/Vienna", "locale", "de_AT", "nickname", ""}, `{"department":"eu","email":"ann@example.com","locale":"de_AT","name":"Ann","sub":"` + sub + `","zoneinfo":"Europe/Vienna"}`},
		{[]string{"department", "", "locale", "", "zoneinfo", "", "name", "名字"}, `{"email":"ann@example.com","name":"名字","sub":"` + sub + `"}`},
		{[]string{"email", "Ann@example.com"}, `{"email":"ann@example.com","name":"名字","sub":"` + sub + `"}`}, // as it is
	} {
		a := s.patch(token, c.pairs...)
		want(t, a, http.StatusOK, c.body)
		if got := a.header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type %q", got)
		}
		want(t, s.send(http.MethodGet, "/userinfo", "", bearer(token)), http.StatusOK, c.body)
	}
	want(t, s.json(http.MethodPatch, "/userinfo", "{}", bearer(token)), http.StatusOK, `{"email":"ann@example.com","name":"名字","sub":"`+sub+`"}`)
}

func TestPatchAddresses(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	sub := s.user("ann", mailbox).ID
	token := s.access("ann", password)
	both := append(s.proof(p, "shop", "update_userinfo", "email", "New@example.com", "new@example.com"),
		s.proof(p, "shop", "update_userinfo", "phone_number", number, e164)...)
	want(t, s.patch(token, both...), http.StatusOK, `{"email":"new@example.com","phone_number":"+8613612345678","sub":"`+sub+`"}`)
	want(t, s.patch(token, both...), http.StatusBadRequest, errorOf("bad_phone_number_otp_token"))
	// The sign-in goes on, and the new address is the name now.
	s.access("new@example.com", password)
	want(t, s.enter(mailbox, password), http.StatusBadRequest, errorOf("invalid_grant", "Wrong username or password"))
	s.silent(both[5], both[11])
}

// TestProvedAddressesAreVerified: by a sign-up, by a change and by a reset.
func TestProvedAddressesAreVerified(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	verified := func(name string) (email, phone any) {
		t.Helper()
		a := s.good(form("grant_type", "password", "client_id", "plain", "client_secret", secret, "username", name, "password", another, "scope", "openid email phone"))
		m := s.send(http.MethodGet, "/userinfo", "", bearer(a.text(t, "access_token"))).json(t)
		return m["email_verified"], m["phone_number_verified"]
	}
	body := append(s.proof(p, "shop", "signup", "email", mailbox, mailbox), s.proof(p, "shop", "signup", "phone_number", number, e164)...)
	if a := s.json(http.MethodPost, signupPath, object(append(body, "username", "ann", "password", another)...), basic("shop", secret)); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if email, phone := verified("ann"); email != true || phone != true {
		t.Errorf("signed up: %v %v", email, phone)
	}
	s.user("bob", "bob@example.com") // by an operator, who has proved nothing
	token := s.access("bob", password)
	body = append(s.proof(p, "shop", "update_userinfo", "phone_number", "13700000001", "+8613700000001"), "name", "Bob")
	if a := s.patch(token, body...); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	want(t, s.change(token, password, another), http.StatusOK, "")
	if email, phone := verified("bob"); email != false || phone != true {
		t.Errorf("changed: %v %v", email, phone)
	}
	s.user("eve", "eve@example.com")
	body = append(s.proof(p, "shop", "reset_password", "email", "eve@example.com", "eve@example.com"), "password", another)
	want(t, s.json(http.MethodPost, resetPath, object(body...), basic("shop", secret)), http.StatusOK, "")
	if email, phone := verified("eve"); email != true || phone != nil {
		t.Errorf("reset: %v %v", email, phone)
	}
}

func TestPatchRows(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", mailbox)
	token := s.access("ann", password)
	email := s.proof(p, "shop", "update_userinfo", "email", "new@example.com", "new@example.com")
	phone := s.proof(p, "shop", "update_userinfo", "phone_number", number, e164)
	late := append(s.proof(p, "shop", "update_userinfo", "email", "late@example.com", "late@example.com"),
		s.proof(p, "shop", "update_userinfo", "phone_number", "13700000001", "+8613700000001")...)
	signup := s.proof(p, "shop", "signup", "email", "new@example.com", "new@example.com")
	s.person("13700000001", "late@example.com")
	for _, c := range []struct {
		name string
		a    answer
		body string
	}{
		{"unknown", s.patch(token, "shoe_size", "42"), errorOf("invalid_request", unknownAttr)},
		{"unknown, with a name that no form has", s.patch(token, "operator/role", "x"), errorOf("invalid_request", unknownAttr)},
		{"unknown beside unsupported", s.patch(token, "username", "eve", "shoe_size", "42"), errorOf("invalid_request", unknownAttr)},
		{"username", s.patch(token, "username", "eve"), errorOf("invalid_request", unsupported)},
		{"password", s.patch(token, "password", another), errorOf("invalid_request", unsupported)},
		{"sub", s.patch(token, "sub", "1", "name", "x"), errorOf("invalid_request", unsupported)},
		{"an operator's attribute", s.patch(token, "role", "admin"), errorOf("invalid_request", unsupported)},
		{"an operator's attribute, taken away", s.patch(token, "role", ""), errorOf("invalid_request", unsupported)},
		{"verified by its own word", s.patch(token, "email_verified", "yes"), errorOf("invalid_request", unsupported)},
		{"phone malformed", s.patch(token, "phone_number", "1"), errorOf("malformed_phone_number")},
		{"phone empty", s.patch(token, "phone_number", ""), errorOf("malformed_phone_number")},
		{"phone of somebody", s.patch(token, late[6:]...), errorOf("duplicate_phone_number")},
		{"phone without token", s.patch(token, "phone_number", number), errorOf("bad_phone_number_otp_token")},
		{"phone with the token of another", s.patch(token, "phone_number", "13700000002", "phone_number_otp_token", phone[3], "phone_number_otp", phone[5]), errorOf("bad_phone_number_otp_token")},
		{"phone with a wrong code", s.patch(token, "phone_number", number, "phone_number_otp_token", phone[3], "phone_number_otp", wrong(phone[5])), errorOf("bad_phone_number_otp")},
		{"e-mail malformed", s.patch(token, "email", "new"), errorOf("malformed_email")},
		{"a code without e-mail", s.patch(token, "email_otp_token", email[3], "email_otp", email[5]), errorOf("malformed_email")},
		{"e-mail of somebody", s.patch(token, late[:6]...), errorOf("duplicate_email")},
		{"e-mail without token", s.patch(token, "email", "new@example.com"), errorOf("bad_email_otp_token")},
		{"e-mail with a code for signing up", s.patch(token, signup...), errorOf("bad_email_otp_token")},
		{"e-mail with a wrong code", s.patch(token, "email", "new@example.com", "email_otp_token", email[3], "email_otp", wrong(email[5])), errorOf("bad_email_otp")},
		{"zone", s.patch(token, "zoneinfo", "../etc/passwd"), errorOf("illegal_parameter_value")},
		{"locale", s.patch(token, "locale", "<script>"), errorOf("illegal_parameter_value")},
		{"long name", s.patch(token, "name", strings.Repeat("x", 257)), errorOf("illegal_parameter_value")},
		{"control character", s.patch(token, "department", `a\nb`), errorOf("illegal_parameter_value")},
		{"number", s.json(http.MethodPatch, "/userinfo", `{"name":1}`, bearer(token)), invalidRequest},
		{"null", s.json(http.MethodPatch, "/userinfo", `{"name":null}`, bearer(token)), invalidRequest},
		{"twice", s.json(http.MethodPatch, "/userinfo", `{"name":"a","name":"b"}`, bearer(token)), missing("name")},
		{"form", s.send(http.MethodPatch, "/userinfo", form("name", "x"), bearer(token)), errorOf("invalid_request", "Unsupported content type")},
		{"empty body", s.json(http.MethodPatch, "/userinfo", "", bearer(token)), invalidRequest},
		{"a good name beside a bad e-mail", s.patch(token, "name", "x", "email", "new"), errorOf("malformed_email")},
	} {
		t.Run(c.name, func(t *testing.T) { want(t, c.a, http.StatusBadRequest, c.body) })
	}
	if got := s.send(http.MethodGet, "/userinfo", "", bearer(token)).json(t); len(got) != 2 || got["email"] != mailbox {
		t.Errorf("something was stored: %v", got)
	}
}

// TestPatchesDoNotUndoEachOther: each changes one attribute, all at once.
func TestPatchesDoNotUndoEachOther(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", mailbox)
	token := s.access("ann", password)
	for round := range 5 {
		value := fmt.Sprintf("x-%d", round)
		email := fmt.Sprintf("ann%d@example.com", round)
		changes := [][]string{
			{"name", value},
			{"nickname", value},
			{"department", value},
			{"locale", fmt.Sprintf("zh-%04d", round)},
			s.proof(p, "shop", "update_userinfo", "email", email, email),
		}
		var wg sync.WaitGroup
		for _, pairs := range changes {
			wg.Go(func() {
				if a := s.patch(token, pairs...); a.status != http.StatusOK {
					t.Errorf("%v: %d %s", pairs[:2], a.status, a.body)
				}
			})
		}
		wg.Wait()
		got := s.send(http.MethodGet, "/userinfo", "", bearer(token)).json(t)
		for _, pairs := range changes {
			if got[pairs[0]] != pairs[1] {
				t.Errorf("%s is %v, want %s", pairs[0], got[pairs[0]], pairs[1])
			}
		}
	}
}

// TestATokenDoesNotFillTheStore: each change of a profile is an event that is kept. An
// app that uses its changes up keeps nobody from taking their mailbox back, and no
// other app from its work.
func TestATokenDoesNotFillTheStore(t *testing.T) {
	p := newPost(t)
	config := p.accounts()
	config.Clients = append(config.Clients, tokenissuer.Client{ID: "another", Type: "mobile", Grants: []string{"password"}, Scopes: []string{"openid"}, Sources: []string{"staff"}})
	s := start(t, config)
	s.user("ann", mailbox)
	token := s.access("ann", password)
	for n := range 61 {
		a := s.patch(token, "nickname", fmt.Sprint(n))
		if last := n == 60; last != (a.status == http.StatusTooManyRequests) || last && a.header.Get("Retry-After") == "" {
			t.Fatalf("change %d: %d %s", n, a.status, a.body)
		}
	}
	if a := s.patch(token, "nickname", "59"); a.status != http.StatusOK {
		t.Errorf("what changes nothing: %d %s", a.status, a.body)
	}
	if a := s.patch(token, s.proof(p, "shop", "update_userinfo", "email", "new@example.com", "new@example.com")...); a.status != http.StatusOK {
		t.Errorf("an address with its code: %d %s", a.status, a.body)
	}
	if a := s.patch(token, "nickname", "61"); a.status != http.StatusTooManyRequests {
		t.Errorf("a change after it: %d %s", a.status, a.body)
	}
	other := s.good(form("grant_type", "password", "client_id", "another", "auth_source_id", "staff", "username", "ann", "password", password)).text(t, "access_token")
	if a := s.patch(other, "nickname", "another"); a.status != http.StatusOK {
		t.Errorf("another app: %d %s", a.status, a.body)
	}
}
