package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

// app is what people sign in to: it asks for a code, redeems it, and shows what
// it got. It also takes the messages that carry one-time codes.
type app struct {
	*httptest.Server
	issuer   string
	exchange func() *http.Client

	mu       sync.Mutex
	started  map[string]attempt // by state
	messages map[string]chan string
}

// attempt is a sign-in the app waits for.
type attempt struct{ client, verifier string }

var secrets = map[string]string{"shop": shopSecret, "other": otherSecret, "modern": modernSecret}

func newApp(issuer string, exchange func() *http.Client) *app {
	a := &app{issuer: issuer, exchange: exchange, started: map[string]attempt{}, messages: map[string]chan string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /start", a.start)
	mux.HandleFunc("GET /post", a.post)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("POST /callback", a.callback)
	mux.HandleFunc("GET /bye", func(w http.ResponseWriter, _ *http.Request) { answer(w, "Bye", "") })
	mux.HandleFunc("POST /message", a.message)
	a.Server = httptest.NewServer(mux)
	return a
}

// start sends the browser to the issuer; further parameters go along.
func (a *app) start(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, a.issuer+"/oauth2/authorize?"+a.request(r.URL.Query()).Encode(), http.StatusFound)
}

// post is start by a form.
func (a *app) post(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><html lang="en"><title>App</title><form method="post" action="%s/oauth2/authorize">`, a.issuer)
	for name, values := range a.request(r.URL.Query()) {
		fmt.Fprintf(w, `<input type="hidden" name="%s" value="%s">`, html.EscapeString(name), html.EscapeString(values[0]))
	}
	fmt.Fprint(w, `<button>Sign in</button></form>`)
}

func (a *app) request(q url.Values) url.Values {
	state, verifier := rand.Text(), rand.Text()+rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	a.mu.Lock()
	a.started[state] = attempt{q.Get("client_id"), verifier}
	a.mu.Unlock()
	q.Set("response_type", "code")
	q.Set("redirect_uri", a.URL+"/callback")
	q.Set("state", state)
	q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
	q.Set("code_challenge_method", "S256")
	if !q.Has("scope") {
		q.Set("scope", "openid profile")
	}
	return q
}

func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if r.Method == http.MethodPost { // response_mode=form_post; nothing may be in the address then
		if err := r.ParseForm(); err != nil || len(q) > 0 {
			answer(w, "Mistake", fmt.Sprint(q, err))
			return
		}
		q = r.PostForm
	}
	a.mu.Lock()
	begun, known := a.started[q.Get("state")]
	delete(a.started, q.Get("state"))
	a.mu.Unlock()
	switch {
	case !known:
		answer(w, "Mistake", "unknown state")
	case q.Has("error"):
		answer(w, "Refused", q.Get("error")+" by "+r.Method)
	default:
		subject, err := a.redeem(begun, q.Get("code"))
		if err != nil {
			answer(w, "Mistake", err.Error())
			return
		}
		answer(w, "Signed in", subject+" by "+r.Method)
	}
}

// redeem earns tokens with the code and says whose they are.
func (a *app) redeem(begun attempt, code string) (subject string, err error) {
	client := a.exchange()
	res, err := client.PostForm(a.issuer+"/oauth2/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.URL + "/callback"},
		"client_id": {begun.client}, "client_secret": {secrets[begun.client]}, "code_verifier": {begun.verifier},
	})
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var tokens struct {
		Access string `json:"access_token"`
		Error  string `json:"error"`
	}
	if err := json.NewDecoder(res.Body).Decode(&tokens); err != nil || tokens.Access == "" {
		return "", fmt.Errorf("%s %s %w", res.Status, tokens.Error, err)
	}
	r, err := http.NewRequest(http.MethodGet, a.issuer+"/userinfo", nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+tokens.Access)
	info, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer info.Body.Close()
	var who struct{ Sub string }
	return who.Sub, json.NewDecoder(info.Body).Decode(&who)
}

// message takes what the issuer sends by webhook.
func (a *app) message(w http.ResponseWriter, r *http.Request) {
	var m struct{ To, Code string }
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.inbox(m.To) <- m.Code
}

func (a *app) inbox(to string) chan string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.messages[to] == nil {
		a.messages[to] = make(chan string, 10)
	}
	return a.messages[to]
}

// code waits for the next code that was sent to the address.
func (a *app) code(t *testing.T, to string) string {
	t.Helper()
	select {
	case code := <-a.inbox(to):
		return code
	case <-t.Context().Done():
		t.Fatalf("no code for %s", to)
		return ""
	}
}

func answer(w http.ResponseWriter, title, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><html lang="en"><title>App</title><h1>%s</h1><p id="said">%s</p>`, html.EscapeString(title), html.EscapeString(text))
}
