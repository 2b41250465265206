package tokenissuer_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

const (
	unknownToken = `{"error":"invalid_grant","error_description":"Unknown or expired otp_token"}`
	unknownOTP   = `{"error":"invalid_grant","error_description":"Unknown or expired OTP"}`
	mismatched   = `{"error":"invalid_request","error_description":"Mismatched OTP token and OTP sending parameters"}`
	notFound     = `{"error":"invalid_grant","error_description":"User not found"}`
	abnormal     = `{"error":"invalid_grant","error_description":"Abnormal user status"}`
	notYours     = `{"error":"invalid_auth_source","error_description":"Auth source and application not associated"}`
	exceeded     = `{"error":"sms_rate_limit_exceeded","error_description":"SMS rate limit exceeded for same phone number"}`
	failed       = `{"error":"temporarily_unavailable","error_description":"Failed to send OTP. Please try again later."}`
)

func parameterMissing(name string) string {
	return `{"error":"invalid_request","error_description":"OAuth 2.0 Parameter: ` + name + `","error_uri":"https://datatracker.ietf.org/doc/html/rfc6749#section-5.2"}`
}

// TestOTPAnswer is the success of S3, by SMS and by e-mail, in every spelling.
func TestOTPAnswer(t *testing.T) {
	p := newPost(t)
	s := start(t, p.otp())
	u := s.person(number, mailbox)
	sample := []string{"client_id", "shop", "client_secret", secret}
	bySMS := func(grant, token string) []string {
		return []string{"grant_type", grant, "auth_source_id", "sms", "phone_number", number, "otp_token", token, "otp", p.code(e164)}
	}
	for _, grant := range []string{sms, "https://auth.example.com/oauth2/grant-type/otp/sms", "urn:gatehouse:grant-type:otp:sms"} {
		for name, ask := range map[string]func(pairs []string) answer{
			"JSON":  func(pairs []string) answer { return s.token(object(append(pairs, sample...)...), asJSON) },
			"form":  func(pairs []string) answer { return s.token(form(append(pairs, sample...)...)) },
			"Basic": func(pairs []string) answer { return s.token(object(pairs...), asJSON, basic("shop", secret)) },
		} {
			t.Run(name+" "+grant, func(t *testing.T) {
				token := s.ask("shop", "phone_number", number, "auth_source_id", "sms")
				a := ask(bySMS(grant, token))
				if a.status != http.StatusOK || a.header.Get("Content-Type") != jsonUTF8 || a.header.Get("Cache-Control") != "no-store" {
					t.Fatalf("%d %s %v", a.status, a.body, a.header)
				}
				if got := keys(t, a.body); got != "access_token refresh_token scope id_token token_type expires_in" {
					t.Errorf("members: %s", got)
				}
				m := a.json(t)
				if m["token_type"] != "Bearer" || m["expires_in"] != 299.0 || m["scope"] != "openid" || len(a.text(t, "refresh_token")) != 128 {
					t.Errorf("%v", m)
				}
				if _, claims := decoded(t, a.text(t, "access_token")); keys(t, claims) != "sub aud nbf scope iss exp iat jti" || !strings.Contains(claims, u.ID) {
					t.Errorf("claims: %s", claims)
				}
				if _, claims := decoded(t, a.text(t, "id_token")); keys(t, claims) != "sub aud azp iss exp iat jti" {
					t.Errorf("claims of the ID token: %s", claims)
				}
			})
		}
	}
	t.Run("e-mail", func(t *testing.T) {
		token := s.ask("shop", "usage", "login", "email", "Ann@Example.COM", "auth_source_id", "mail")
		a := s.good(object("grant_type", mail, "client_id", "shop", "client_secret", secret, "auth_source_id", "mail",
			"email", mailbox, "otp_token", token, "otp", p.code(mailbox)), asJSON)
		s.good(refresh("shop", a.text(t, "refresh_token")) + "&client_secret=" + secret)
	})
	t.Run("a spa sends with nothing of its own and signs in by its id", func(t *testing.T) {
		a := s.send(http.MethodPost, sendPath, object("client_id", "open", "phone_number", "+86 136-1234-5678", "auth_source_id", "sms"), asJSON)
		s.good(form("grant_type", sms, "client_id", "open", "auth_source_id", "sms", "phone_number", number, "otp_token", a.text(t, "otp_token"), "otp", p.code(e164)))
	})
	t.Run("a mobile app's backend sends, the app signs in without the secret", func(t *testing.T) {
		token := s.ask("app", "phone_number", number, "auth_source_id", "sms")
		s.good(form("grant_type", sms, "client_id", "app", "auth_source_id", "sms", "phone_number", number, "otp_token", token, "otp", p.code(e164)))
	})
	t.Run("a source says how long its codes are", func(t *testing.T) {
		s.ask("shop", "phone_number", number, "auth_source_id", "short")
		if len(p.code(e164)) != 4 {
			t.Errorf("%d digits", len(p.code(e164)))
		}
	})
}

// TestOTPRows is rows 9 to 14 of section 1.4, and the order of their checks.
func TestOTPRows(t *testing.T) {
	p := newPost(t)
	s := start(t, p.otp())
	s.person(number, mailbox)
	locked, frozen := s.person("13700000001", ""), s.person("13700000002", "")
	for id, state := range map[string]store.AccountState{locked.ID: store.Locked, frozen.ID: store.Frozen} {
		if _, err := s.issuer.SetUserState(t.Context(), id, state, ""); err != nil {
			t.Fatal(err)
		}
	}
	asked := func(pairs ...string) (token, code string) {
		token = s.ask("shop", append([]string{"auth_source_id", "sms"}, pairs...)...)
		p.mu.Lock()
		defer p.mu.Unlock()
		return token, p.codes[p.to[len(p.to)-1]]
	}
	token, code := asked("phone_number", number)
	signupToken, signupCode := asked("usage", "signup", "phone_number", "13700000003")
	lockedToken, lockedCode := asked("phone_number", "13700000001")
	frozenToken, frozenCode := asked("phone_number", "13700000002")
	nobodyToken, nobodyCode := asked("phone_number", "13700000004")
	mailToken := s.ask("shop", "email", mailbox, "auth_source_id", "mail")

	with := func(pairs ...string) []string {
		all := []string{"grant_type", sms, "auth_source_id", "sms", "phone_number", number, "otp_token", token, "otp", code}
		for n := 0; n < len(pairs); n += 2 {
			for m := 0; m < len(all); m += 2 {
				if all[m] == pairs[n] {
					all[m+1] = pairs[n+1]
				}
			}
		}
		return all
	}
	for _, r := range []struct {
		name   string
		client string
		pairs  []string
		body   string
	}{
		{"step 2: auth_source_id missing", "shop", with("auth_source_id", ""), parameterMissing("auth_source_id")},
		{"step 2: phone_number missing", "shop", with("phone_number", "", "otp", ""), parameterMissing("phone_number")},
		{"step 2: email missing", "shop", with("grant_type", mail, "otp_token", ""), parameterMissing("email")},
		{"step 2: otp_token missing", "shop", with("otp_token", "", "otp", ""), parameterMissing("otp_token")},
		{"step 2: otp missing", "shop", with("otp", ""), parameterMissing("otp")},
		{"row 9: otp_token unknown", "shop", with("otp_token", "MOCK_OTP_TOKEN"), unknownToken},
		{"row 9 before 11: unknown otp_token, other number", "shop", with("otp_token", "x", "phone_number", "13700000009"), unknownToken},
		{"row 10: wrong code", "shop", with("otp", wrong(code)), unknownOTP},
		{"row 10: not even digits", "shop", with("otp", "one two"), unknownOTP},
		{"row 11: other number, right code", "shop", with("phone_number", "13700000002"), mismatched},
		{"row 11: no number at all", "shop", with("phone_number", "nobody"), mismatched},
		{"row 11: other source", "shop", with("auth_source_id", "short"), mismatched},
		{"row 11: other client", "second", with(), mismatched},
		{"row 11: sent for a sign-up", "shop", with("otp_token", signupToken, "otp", signupCode, "phone_number", "13700000003"), mismatched},
		{"row 11: sent by e-mail", "shop", with("otp_token", mailToken), mismatched},
		{"row 12: nobody has the number", "shop", with("otp_token", nobodyToken, "otp", nobodyCode, "phone_number", "13700000004"), notFound},
		{"row 12: and a wrong code does not tell", "shop", with("otp_token", nobodyToken, "otp", wrong(nobodyCode), "phone_number", "13700000004"), unknownOTP},
		{"row 13: locked", "shop", with("otp_token", lockedToken, "otp", lockedCode, "phone_number", "13700000001"), abnormal},
		{"row 13: frozen", "shop", with("otp_token", frozenToken, "otp", frozenCode, "phone_number", "13700000002"), abnormal},
		{"row 13: and a wrong code does not tell", "shop", with("otp_token", lockedToken, "otp", wrong(lockedCode), "phone_number", "13700000001"), unknownOTP},
		{"row 14: source not associated", "shop", with("auth_source_id", "other"), notYours},
		{"row 14: unknown source", "shop", with("auth_source_id", "nothing"), notYours},
		{"row 14: a source of passwords", "shop", with("auth_source_id", "staff"), notYours},
		{"row 14: a source of the other kind", "shop", with("auth_source_id", "mail"), notYours},
		{"row 14 before 9", "shop", with("auth_source_id", "other", "otp_token", "x"), notYours},
	} {
		client := []string{"client_id", r.client, "client_secret", secret}
		t.Run(r.name, func(t *testing.T) {
			s.check(t, "/oauth2/token", row{form: object(append(r.pairs, client...)...), headers: []string{asJSON}, status: 400, body: r.body})
		})
	}
	t.Run("in a form, with Basic", func(t *testing.T) {
		s.check(t, "/oauth2/token", row{form: form(with("otp", wrong(code))...), headers: []string{basic("shop", secret)}, status: 400, body: unknownOTP})
	})
	t.Run("a client without the grant", func(t *testing.T) {
		s.check(t, "/oauth2/token", row{form: form("grant_type", sms, "client_id", "robot", "client_secret", secret), status: 400, body: `{"error":"unauthorized_client"}`})
	})
	t.Run("another issuer's name for the grant", func(t *testing.T) {
		s.check(t, "/oauth2/token", row{
			form:   form("grant_type", "https://evil.example/oauth2/grant-type/otp/sms", "client_id", "shop", "client_secret", secret),
			status: 400, body: strings.Replace(parameterMissing("grant_type"), "invalid_request", "unsupported_grant_type", 1),
		})
	})
	t.Run("after all that the code is still good, once", func(t *testing.T) {
		s.good(shown("shop", token, code))
		s.check(t, "/oauth2/token", row{form: shown("shop", token, code), status: 400, body: unknownToken})
	})
}

// Row 12 may be followed by the same request with auto_signup.
func TestCodeForNobodyOpensAnAccountWhereTheClientAsks(t *testing.T) {
	p := newPost(t)
	s := start(t, p.otp())
	for n, spelled := range []struct{ name, body, media string }{
		{"JSON true", `,"auto_signup":true}`, "application/json"},
		{"JSON text", `,"auto_signup":"true"}`, "application/json"},
		{"form", "&auto_signup=true", "application/x-www-form-urlencoded"},
	} {
		t.Run(spelled.name, func(t *testing.T) {
			to := fmt.Sprintf("1370000100%d", n)
			token := s.ask("shop", "phone_number", to, "auth_source_id", "sms")
			pairs := []string{"grant_type", sms, "client_id", "shop", "client_secret", secret, "auth_source_id", "sms", "phone_number", to, "otp_token", token, "otp", p.code("+86" + to)}
			body := form(pairs...)
			if strings.HasSuffix(spelled.media, "json") {
				body = strings.TrimSuffix(object(pairs...), "}")
			}
			for _, not := range []string{`,"auto_signup":false}`, `,"auto_signup":"yes"}`, `,"auto_signup":1}`} {
				if strings.HasSuffix(spelled.media, "json") {
					s.check(t, "/oauth2/token", row{form: body + not, headers: []string{asJSON}, status: 400, body: notFound})
				}
			}
			a := s.good(body+spelled.body, "Content-Type: "+spelled.media)
			u, err := s.issuer.User(t.Context(), "+86"+to)
			if err != nil {
				t.Fatal(err)
			}
			if _, claims := decoded(t, a.text(t, "id_token")); !strings.Contains(claims, u.ID) || u.PhoneNumber != "+86"+to {
				t.Errorf("%+v %s", u, claims)
			}
		})
	}
}

// Whoever knows a client's id could fill the issuer with accounts: without the
// operator's `signup` the word is as none, row 12 of http-api.md 1.4.
func TestCodeOpensNoAccountWithoutTheOperatorsWord(t *testing.T) {
	p := newPost(t)
	s := start(t, p.otp())
	token := s.ask("second", "phone_number", number, "auth_source_id", "sms")
	pairs := []string{"grant_type", sms, "client_id", "second", "client_secret", secret, "auth_source_id", "sms", "phone_number", number, "otp_token", token, "otp", p.code(e164)}
	text := strings.TrimSuffix(object(pairs...), "}")
	s.check(t, "/oauth2/token", row{name: "JSON true", form: text + `,"auto_signup":true}`, headers: []string{asJSON}, status: 400, body: notFound})
	s.check(t, "/oauth2/token", row{name: "JSON text", form: text + `,"auto_signup":"true"}`, headers: []string{asJSON}, status: 400, body: notFound})
	s.check(t, "/oauth2/token", row{name: "form", form: form(pairs...) + "&auto_signup=true", status: 400, body: notFound})
	if u, err := s.issuer.User(t.Context(), e164); err == nil {
		t.Errorf("there is an account: %+v", u)
	}
	s.person(number, "") // an operator adds it, and the code is good still
	s.good(form(pairs...) + "&auto_signup=true")
}

// TestCodesCannotBeGuessed is C25.
func TestCodesCannotBeGuessed(t *testing.T) {
	p := newPost(t)
	s := start(t, p.otp())
	s.person(number, "")
	token := s.ask("second", "phone_number", number, "auth_source_id", "sms")
	code := p.code(e164)
	for n := range 5 {
		s.check(t, "/oauth2/token", row{name: fmt.Sprint(n), form: shown("second", token, wrong(code)), status: 400, body: unknownOTP})
	}
	s.check(t, "/oauth2/token", row{name: "a sixth", form: shown("second", token, wrong(code)), status: 400, body: unknownToken})
	s.check(t, "/oauth2/token", row{name: "the right one", form: shown("second", token, code), status: 400, body: unknownToken})

	// Spread over new codes, twenty in all.
	counts := map[string]int{}
	for range 6 {
		token := s.ask("second", "phone_number", number, "auth_source_id", "sms")
		for range 4 {
			counts[s.token(shown("second", token, wrong(p.code(e164)))).body]++
		}
	}
	if counts[unknownOTP] != 15 || counts[unknownToken] != 9 {
		t.Errorf("%v", counts)
	}
	token = s.ask("second", "phone_number", number, "auth_source_id", "sms")
	s.check(t, "/oauth2/token", row{name: "the right one of a new code", form: shown("second", token, p.code(e164)), status: 400, body: unknownToken})
	s.check(t, "/oauth2/token", row{name: "on behalf of another client", form: shown("shop", token, p.code(e164)), status: 400, body: mismatched})

	other := s.ask("second", "phone_number", "13700000008", "auth_source_id", "sms")
	s.check(t, "/oauth2/token", row{
		name: "another number is not concerned", status: 400, body: notFound,
		form: form("grant_type", sms, "client_id", "second", "client_secret", secret, "auth_source_id", "sms", "phone_number", "13700000008", "otp_token", other, "otp", p.code("+8613700000008")),
	})
}

// C25: never 429. What bounds the guesses has answers of its own, and the limit
// per address is not one of them.
func TestWrongCodesAreNotOfTheLimitPerAddress(t *testing.T) {
	p := newPost(t)
	config := p.otp()
	config.FailuresPerAddress, config.FailuresWindow = 3, time.Hour
	s := start(t, config)
	s.person(number, "")
	sent := s.send(http.MethodPost, sendPath, object("client_id", "open", "phone_number", number, "auth_source_id", "sms"), asJSON)
	token := sent.text(t, "otp_token")
	public := func(code string) string {
		return form("grant_type", sms, "client_id", "open", "auth_source_id", "sms", "phone_number", number, "otp_token", token, "otp", code)
	}
	for n := range 8 {
		want := unknownOTP
		if n >= 5 {
			want = unknownToken
		}
		s.check(t, "/oauth2/token", row{name: fmt.Sprint(n), form: public(wrong(p.code(e164))), status: 400, body: want})
	}
}

// Strangers who use up the tries at a number do not keep out who signed in from
// here before.
func TestOwnersAddressHasTriesOfItsOwn(t *testing.T) {
	p := newPost(t)
	s := start(t, p.otp())
	s.person(number, "")
	token := s.ask("shop", "phone_number", number, "auth_source_id", "sms")
	s.good(shown("shop", token, p.code(e164)))
	for range 5 {
		token := s.ask("shop", "phone_number", number, "auth_source_id", "sms")
		for range 4 {
			s.fromElsewhere(t, shown("shop", token, wrong(p.code(e164))))
		}
	}
	token = s.ask("shop", "phone_number", number, "auth_source_id", "sms")
	if got := s.fromElsewhere(t, shown("shop", token, p.code(e164))); got != unknownToken {
		t.Errorf("a stranger's next try: %s", got)
	}
	s.good(shown("shop", token, p.code(e164)))
}

// fromElsewhere sends a token request of another address.
func (s *server) fromElsewhere(t *testing.T, body string) string {
	t.Helper()
	return s.from(t, "192.0.2.1", "/oauth2/token", body).body
}

func TestOneOfFiftyUsesACode(t *testing.T) {
	p := newPost(t)
	s := start(t, p.otp())
	s.person(number, "")
	for name, body := range map[string]func(token, code string, n int) string{
		"all right": func(token, code string, _ int) string { return shown("shop", token, code) },
		"all right, for nobody": func(token, code string, _ int) string {
			return strings.Replace(shown("shop", token, code, "auto_signup", "true"), number, "13700000077", 1)
		},
		"one right among others": func(token, code string, n int) string {
			return shown("shop", token, map[bool]string{true: code, false: wrong(code)}[n == 25])
		},
	} {
		t.Run(name, func(t *testing.T) {
			to := number
			if strings.HasSuffix(name, "nobody") {
				to = "13700000077"
			}
			token := s.ask("shop", "phone_number", to, "auth_source_id", "sms")
			code := p.code("+86" + to)
			var all sync.WaitGroup
			answers := make([]answer, 50)
			for n := range answers {
				all.Go(func() { answers[n] = s.token(body(token, code, n)) })
			}
			all.Wait()
			counts := map[string]int{}
			for _, a := range answers {
				if a.status == http.StatusOK {
					a.body = "200"
				}
				counts[a.body]++
			}
			most := 1
			if strings.HasPrefix(name, "one") {
				if counts[unknownOTP] > 5 {
					t.Errorf("%d guesses were judged", counts[unknownOTP])
				}
			} else if counts["200"] != 1 {
				t.Errorf("%d sign-ins", counts["200"])
			}
			if counts["200"] > most || counts["200"]+counts[unknownOTP]+counts[unknownToken] != 50 {
				t.Errorf("%v", counts)
			}
		})
	}
}

// TestOTPOfOtherDialects is the row of section 4.6, and that idaas has no codes.
func TestOTPOfOtherDialects(t *testing.T) {
	p := newPost(t)
	s := start(t, p.otp())
	u := s.person(number, "")
	token := s.ask("modern", "phone_number", number, "auth_source_id", "sms")
	code := p.code(e164)
	modern := func(pairs ...string) string {
		return form(append([]string{"grant_type", sms, "client_id", "modern", "client_secret", secret}, pairs...)...)
	}
	for _, r := range []row{
		{name: "row 9", form: modern("phone_number", number, "otp_token", "x", "otp", code), body: invalidGrant},
		{name: "row 10", form: modern("phone_number", number, "otp_token", token, "otp", wrong(code)), body: invalidGrant},
		{name: "row 11", form: modern("phone_number", "13700000001", "otp_token", token, "otp", code), body: invalidGrant},
		{name: "row 14", form: modern("auth_source_id", "mail", "phone_number", number, "otp_token", token, "otp", code), body: invalidGrant},
		{name: "scope", form: modern("scope", "admin", "phone_number", number, "otp_token", token, "otp", code), body: invalidScope},
	} {
		r.status = 400
		t.Run(r.name, func(t *testing.T) { s.check(t, "/oauth2/token", r) })
	}
	t.Run("row 12", func(t *testing.T) {
		token := s.ask("modern", "phone_number", "13700000001", "auth_source_id", "sms")
		s.check(t, "/oauth2/token", row{form: modern("phone_number", "13700000001", "otp_token", token, "otp", p.code("+8613700000001")), status: 400, body: invalidGrant})
	})
	t.Run("row 13", func(t *testing.T) {
		if _, err := s.issuer.SetUserState(t.Context(), u.ID, store.Locked, ""); err != nil {
			t.Fatal(err)
		}
		s.check(t, "/oauth2/token", row{form: modern("phone_number", number, "otp_token", token, "otp", code), status: 400, body: invalidGrant})
		if _, err := s.issuer.SetUserState(t.Context(), u.ID, store.Active, ""); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("success without a source, with a registered scope", func(t *testing.T) {
		a := s.good(modern("phone_number", number, "otp_token", token, "otp", code, "scope", "openid profile"))
		if a.text(t, "scope") != "openid profile" {
			t.Error(a.body)
		}
	})
	t.Run("idaas", func(t *testing.T) {
		for _, grant := range []string{sms, mail, "urn:gatehouse:grant-type:otp:sms"} {
			s.check(t, "/api/v1/oauth2/token", row{
				form: form("grant_type", grant), headers: []string{basic("legacy", secret)}, status: 400,
				body: `{"error":"unsupported_grant_type","error_description":"Unsupported grant type"}`,
			})
		}
	})
}

func TestDiscoveryNamesTheGrantsOfCodes(t *testing.T) {
	p := newPost(t)
	s := start(t, p.otp())
	var m struct {
		Grants []string `json:"grant_types_supported"`
	}
	if err := json.Unmarshal([]byte(s.send(http.MethodGet, "/.well-known/openid-configuration", "").body), &m); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.Grants, " "); !strings.HasSuffix(got, sms+" "+mail) {
		t.Error(got)
	}
}

// What a code proves is noted.
func TestSignInByCodeVerifiesTheAddress(t *testing.T) {
	p := newPost(t)
	c := p.otp()
	s := start(t, c)
	s.person(number, "")
	token := s.ask("shop", "phone_number", number, "auth_source_id", "sms")
	s.good(shown("shop", token, p.code(e164)))
	u, err := s.issuer.User(t.Context(), e164)
	if err != nil || !u.Updated.After(u.Created) {
		t.Errorf("%+v %v", u, err)
	}
}
