package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

type answer struct {
	status int
	header http.Header
	body   string
}

// tokens is a good token answer.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

// tokens reads what the answer must hold.
func (a answer) tokens() (t tokens, err error) {
	if a.status != http.StatusOK {
		return t, fmt.Errorf("answer %d %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &t); err != nil || t.Access == "" {
		return t, fmt.Errorf("answer %s: %w", a.body, err)
	}
	return t, nil
}

// ask sends one request, with header lines "Name: value".
func (i *instance) ask(method, path, body string, lines ...string) (answer, error) {
	if strings.HasPrefix(path, "/") {
		path = i.site + path
	}
	r, err := http.NewRequestWithContext(i.Context(), method, path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for n, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Content-Type" && n == 0 {
			r.Header.Del(name)
		}
		r.Header.Add(name, value)
	}
	response, err := i.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text)}, err
}

// must is ask where no answer is a failure.
func (i *instance) must(method, path, body string, lines ...string) answer {
	i.Helper()
	a, err := i.ask(method, path, body, lines...)
	if err != nil {
		i.Fatal(err)
	}
	return a
}

func (i *instance) post(path string, form url.Values) answer {
	i.Helper()
	return i.must(http.MethodPost, path, form.Encode())
}

// earn posts a token request that has to succeed.
func (i *instance) earn(form url.Values) tokens {
	i.Helper()
	t, err := i.post("/oauth2/token", form).tokens()
	if err != nil {
		i.Fatal(err)
	}
	return t
}

// bearer is the header line that shows a token.
func bearer(token string) string { return "Authorization: Bearer " + token }

func byPassword(client string) url.Values {
	return url.Values{
		"grant_type": {"password"}, "client_id": {client}, "auth_source_id": {"password"}, "username": {"alice"}, "password": {alicePassword},
	}
}

func byRefresh(client, token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}}
}

func byRobot() url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {"robot"}, "client_secret": {robotSecret}}
}

// with adds parameters to a form.
func with(form url.Values, more ...string) url.Values {
	for n := 0; n < len(more); n += 2 {
		form.Set(more[n], more[n+1])
	}
	return form
}

// metrics reads Caddy's and ours at the admin endpoint.
func (i *instance) metrics() string {
	r, err := http.NewRequestWithContext(i.Context(), http.MethodGet, "http://"+i.admin+"/metrics", nil)
	if err != nil {
		return err.Error()
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
