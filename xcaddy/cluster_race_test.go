package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// ways is how many requests race, spread over the nodes.
const ways = 50

// race sends a request to every node by turns, all at once, and counts the answers by
// what name says of them. Who is told to come later, by a machine that has too much to
// do, comes again.
func (c *cluster) race(form func(n int) url.Values, path string, name func(answer) string) map[string]int {
	c.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	counts := map[string]int{}
	begin := make(chan struct{})
	for n := range ways {
		all.Go(func() {
			<-begin
			a, err := c.nodes[n%len(c.nodes)].insist(path, form(n))
			if err != nil {
				c.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			counts[name(a)]++
		})
	}
	close(begin)
	all.Wait()
	return counts
}

// insist posts a form until there is room for it.
func (i *instance) insist(path string, form url.Values) (answer, error) {
	for end := time.Now().Add(patience); ; <-time.After(50 * time.Millisecond) { // a client's own pause
		a, err := i.ask(http.MethodPost, path, form.Encode())
		if err != nil || a.status != http.StatusServiceUnavailable || time.Now().After(end) {
			return a, err
		}
	}
}

// verdict is the status of an answer, and what it says where it is a refusal.
func verdict(a answer) string {
	var refusal struct {
		Error string `json:"error"`
		Text  string `json:"error_description"`
	}
	if a.status == http.StatusOK || json.Unmarshal([]byte(a.body), &refusal) != nil {
		return fmt.Sprint(a.status)
	}
	return strings.TrimSpace(fmt.Sprint(a.status, " ", refusal.Error, " ", refusal.Text))
}

// wants compares the outcome of a race.
func (c *cluster) wants(what string, got, want map[string]int) {
	c.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.Errorf("%s: %v, want %v", what, got, want)
	}
}

const page = "https://page.example.com/"

// racing is nodes with every kind of proof, and the post that carries one-time codes.
func racing(t *testing.T) (*cluster, *post) {
	t.Helper()
	t.Parallel()
	office := &post{codes: map[string]string{}}
	hook := httptest.NewServer(http.HandlerFunc(office.text))
	t.Cleanup(hook.Close)
	return clusterOf(t, rules{
		store: []string{"", "", ""},
		place: func(_ int, i *instance) {
			i.env = append(i.env, "HOOK="+hook.URL, "SMS_KEY=sms-key")
		},
		clients: `
		auth_source password {
			type password
		}
		auth_source sms {
			type sms_otp
			send webhook {$HOOK} {
				header Authorization "Bearer {env.SMS_KEY}"
			}
		}
		client app {
			type web
			secret {env.SHOP_SECRET}
			grants otp refresh_token
			auth_sources sms
			signup
		}
		client page {
			type spa
			grants authorization_code refresh_token
			redirect_uris ` + page + `
			scopes openid
			first_party
			auth_sources password
		}
`,
	}), office
}

// TestCodesAreGoodOnceOnThreeNodes: of fifty that come with one code at once, one gets
// tokens, and since the others came with it too these end.
func TestCodesAreGoodOnceOnThreeNodes(t *testing.T) {
	c, _ := racing(t)
	browser := c.guest()
	for round := range 10 {
		code := browser.authorize(c.nodes[round%3])
		var won []tokens
		var mu sync.Mutex
		counts := c.race(func(int) url.Values {
			return url.Values{"grant_type": {"authorization_code"}, "client_id": {"page"}, "code": {code}, "redirect_uri": {page}, "code_verifier": {pkceVerifier}}
		}, "/oauth2/token", func(a answer) string {
			if got, err := a.tokens(); err == nil {
				mu.Lock()
				defer mu.Unlock()
				won = append(won, got)
			}
			return verdict(a)
		})
		// That is how the dialect says it to a client without a secret.
		c.wants("fifty redeem one code", counts, map[string]int{"200": 1, "401 invalid_client": ways - 1})
		for _, got := range won {
			for _, n := range c.nodes {
				eventually(t, "what a code earned that was shown twice is refused", func() bool { return !n.open(got.Access) })
				if a := n.post("/oauth2/token", byRefresh("page", got.Refresh)); verdict(a) != "400 invalid_grant" {
					t.Errorf("its refresh token: %d %s", a.status, a.body)
				}
			}
		}
	}
}

const dead = "400 invalid_grant Unknown or expired otp_token"

// TestOneTimeCodesAreGoodOnceOnThreeNodes: one message, one sign-in, one account, and
// five tries, however many ask at once and wherever.
func TestOneTimeCodesAreGoodOnceOnThreeNodes(t *testing.T) {
	c, office := racing(t)
	for round := range 5 {
		number := fmt.Sprintf("1360000%04d", 10*round)
		token, code := c.otp(office, number)
		byCode := func(n int) url.Values { return otpForm(number, token, code) }
		c.wants("fifty show the right code", c.race(byCode, "/oauth2/token", verdict), map[string]int{"200": 1, dead: ways - 1})

		number = fmt.Sprintf("1360000%04d", 10*round+1)
		token, code = c.otp(office, number)
		wrong := func(n int) url.Values { return otpForm(number, token, fmt.Sprintf("x%05d", n)) }
		c.wants("fifty guess", c.race(wrong, "/oauth2/token", verdict),
			map[string]int{"400 invalid_grant Unknown or expired OTP": 5, dead: ways - 5})
		for _, n := range c.nodes {
			if a := n.post("/oauth2/token", otpForm(number, token, code)); verdict(a) != dead {
				t.Errorf("the right code after five wrong ones: %d %s", a.status, a.body)
			}
		}
	}
}

// otp asks for a code fifty times at once, of which one is sent.
func (c *cluster) otp(office *post, number string) (token, code string) {
	c.Helper()
	var mu sync.Mutex
	counts := c.race(func(int) url.Values {
		return url.Values{"client_id": {"app"}, "client_secret": {shopSecret}, "auth_source_id": {"sms"}, "phone_number": {number}}
	}, "/otp/send", func(a answer) string {
		var sent struct {
			Token string `json:"otp_token"`
		}
		if a.status == http.StatusOK && json.Unmarshal([]byte(a.body), &sent) == nil {
			mu.Lock()
			defer mu.Unlock()
			token = sent.Token
		}
		return verdict(a)
	})
	c.wants("fifty ask for a code", counts, map[string]int{"200": 1, "400 sms_rate_limit_exceeded SMS rate limit exceeded for same phone number": ways - 1})
	office.mu.Lock()
	defer office.mu.Unlock()
	return token, office.codes["+86"+number]
}

func otpForm(number, token, code string) url.Values {
	return url.Values{
		"grant_type": {"http://tencentciam.com/oauth2/grant-type/otp/sms"}, "client_id": {"app"}, "client_secret": {shopSecret},
		"auth_source_id": {"sms"}, "phone_number": {number}, "auto_signup": {"true"}, "otp_token": {token}, "otp": {code},
	}
}

// TestLockOutCountsOnceOnThreeNodes: fifty wrong passwords at once, wherever they go,
// are five guesses.
func TestLockOutCountsOnceOnThreeNodes(t *testing.T) {
	c := newCluster(t, 3, "")
	for round := range 5 {
		name := fmt.Sprintf("guessed%d", round)
		if out, err := c.nodes[0].command(alicePassword+"\n", "issuer", "user", "add", name, "--password-stdin", "--address", c.nodes[0].admin); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		counts := c.race(func(n int) url.Values {
			return with(byPassword("phone"), "username", name, "password", fmt.Sprint("wrong", n))
		}, "/oauth2/token", verdict)
		c.wants("fifty guess", counts, map[string]int{
			"400 invalid_grant Wrong username or password": 5, "400 invalid_grant Abnormal user status": ways - 5,
		})
		for _, n := range c.nodes {
			a, err := n.insist("/oauth2/token", with(byPassword("phone"), "username", name))
			if err != nil || verdict(a) != "400 invalid_grant Abnormal user status" {
				t.Errorf("the right password after five wrong ones: %d %s, %v", a.status, a.body, err)
			}
		}
	}
}
