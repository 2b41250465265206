package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// earner earns one token. It belongs to one worker and may remember what the
// last one was.
type earner func() (answer, error)

// earner makes one; what it needs before its first token is not measured.
func (s *server) earner(c *http.Client) (earner, error) {
	switch {
	case s.grant != nil:
		return s.grant(s, c)
	case s.person != nil:
		return func() (answer, error) { return s.ask(c, s.person) }, nil
	}
	return func() (answer, error) { return s.ask(c, s.form) }, nil
}

// with is the form and further fields.
func with(form url.Values, pairs ...string) url.Values {
	out := url.Values{}
	for name, values := range form {
		out[name] = values
	}
	for n := 0; n < len(pairs); n += 2 {
		out.Set(pairs[n], pairs[n+1])
	}
	return out
}

// refresh signs in once and then walks its own chain of refresh tokens.
func refresh(s *server, c *http.Client) (earner, error) {
	signIn := s.form
	if s.person != nil {
		signIn = s.person
	}
	last, err := s.ask(c, signIn)
	return func() (answer, error) {
		next, err := s.ask(c, url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {last.RefreshToken}})
		last = next
		return next, err
	}, err
}

const (
	callback = "https://shop.example.com/callback"
	verifier = "the-benchmark-has-one-verifier-for-all-of-its-codes"
)

var asShop = url.Values{"client_id": {"shop"}, "client_secret": {secret}}

// code signs a browser in at the portal once. A token is then two requests: the
// browser's for a code, which the session answers without a page, and the
// application's, which redeems it with PKCE.
func code(s *server, c *http.Client) (earner, error) {
	sum := sha256.Sum256([]byte(verifier))
	at := "/oauth2/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"shop"}, "redirect_uri": {callback}, "scope": {"openid"}, "state": {"xyz"}, "nonce": {"n"},
		"code_challenge": {b64.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()
	p := newPerson(s)
	if err := p.signIn(at); err != nil {
		return nil, fmt.Errorf("signing in at the portal: %w", err)
	}
	redeem := with(asShop, "grant_type", "authorization_code", "redirect_uri", callback, "code_verifier", verifier)
	return func() (answer, error) {
		page, err := p.open(http.MethodGet, at, "")
		if err != nil {
			return answer{}, err
		}
		code, err := page.code()
		if err != nil {
			return answer{}, err
		}
		return s.ask(c, with(redeem, "code", code))
	}, nil
}

// oneTimeCode has a code sent to a number of its own and shows it. The first
// token opens the account.
func oneTimeCode(s *server, c *http.Client) (earner, error) {
	number := messages.number()
	send := with(asShop, "usage", "login", "auth_source_id", "sms", "phone_number", number).Encode()
	show := with(asShop, "grant_type", "http://tencentciam.com/oauth2/grant-type/otp/sms", "auth_source_id", "sms", "phone_number", number, "auto_signup", "true")
	earn := func() (answer, error) {
		res, err := c.Post(s.base+"/otp/send", "application/x-www-form-urlencoded", strings.NewReader(send))
		if err != nil {
			return answer{}, err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return answer{}, err
		}
		token := field(body, "otp_token")
		if token == "" {
			return answer{}, fmt.Errorf("no code was sent: %d %.200s", res.StatusCode, body)
		}
		code := messages.take(number)
		if code == "" {
			return answer{}, errors.New("the message did not arrive before the answer")
		}
		return s.ask(c, with(show, "otp_token", token, "otp", code))
	}
	_, err := earn()
	return earn, err
}
