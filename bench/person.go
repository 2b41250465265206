package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// issuer is the address the servers publish; they listen on a port of their own.
const issuer = "http://127.0.0.1"

// person is a browser: it keeps cookies and follows nothing by itself.
type person struct{ client *http.Client }

func newPerson(s *server) *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it has no options to be wrong
	}
	return &person{&http.Client{
		Jar: jar, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			IdleConnTimeout: time.Second, // whoever made it has left
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+s.port)
			},
		},
	}}
}

// page is what a browser was answered.
type page struct {
	status   int
	location string
	body     string
}

func (p *person) open(method, address, form string) (page, error) {
	if strings.HasPrefix(address, "/") {
		address = issuer + address
	}
	r, err := http.NewRequest(method, address, strings.NewReader(form))
	if err != nil {
		return page{}, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", issuer)
	}
	res, err := p.client.Do(r)
	if err != nil {
		return page{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return page{res.StatusCode, res.Header.Get("Location"), string(body)}, err
}

var (
	action = regexp.MustCompile(`<form method="post" action="([^"]+)"`)
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
	next   = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]+)">`)
)

// signIn opens an address and fills in the page it leads to, until it is sent
// back to the application.
func (p *person) signIn(address string) error {
	at, err := p.open(http.MethodGet, address, "")
	for range 10 {
		if err != nil {
			return err
		}
		to := at.location
		if m := next.FindStringSubmatch(at.body); to == "" && m != nil {
			to = html.UnescapeString(m[1])
		}
		switch {
		case strings.HasPrefix(to, callback):
			return nil
		case to != "":
			at, err = p.open(http.MethodGet, to, "")
		default:
			at, err = p.fill(at)
		}
	}
	return errors.New("redirected without end")
}

// fill posts the page's first form with the account's name and password.
func (p *person) fill(at page) (page, error) {
	form, _, _ := strings.Cut(at.body, "</form>")
	to := action.FindStringSubmatch(form)
	if to == nil {
		return page{}, fmt.Errorf("neither a form nor a redirect: %d %.300s", at.status, at.body)
	}
	fields := url.Values{"username": {account}, "password": {accountPassword}}
	for _, h := range hidden.FindAllStringSubmatch(form, -1) {
		fields.Set(h[1], html.UnescapeString(h[2]))
	}
	return p.open(http.MethodPost, html.UnescapeString(to[1]), fields.Encode())
}

// code is what the application is sent.
func (p page) code() (string, error) {
	to, err := url.Parse(p.location)
	if err != nil || p.status != http.StatusFound || to.Query().Get("code") == "" {
		return "", fmt.Errorf("no code: %d %q %.200s", p.status, p.location, p.body)
	}
	return to.Query().Get("code"), nil
}
