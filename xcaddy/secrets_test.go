package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// secrets collects what must never be found where it does not belong.
type secrets map[string]string // secret -> what it is

func (s secrets) add(what string, values ...string) {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ".") { // of a token, no part either
			if len(part) >= 8 && part != commonHeader(part) {
				s[part] = what
			}
		}
	}
}

// commonHeader is the part of a token that tells nothing: every token of a key has it.
func commonHeader(part string) string {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil && bytes.HasPrefix(text, []byte(`{"kid":`)) {
		return part
	}
	return ""
}

// story is a bit of everything that carries a secret, done rightly and wrongly.
func (i *instance) story(s secrets) {
	i.Helper()
	s.add("a client's secret", shopSecret, robotSecret)
	s.add("a password", alicePassword, url.QueryEscape(alicePassword))
	basic := base64.StdEncoding.EncodeToString([]byte("shop:" + shopSecret))
	s.add("an Authorization value", basic)
	form := "Content-Type: application/x-www-form-urlencoded"

	inBody := i.earn(with(byPassword("shop"), "client_secret", shopSecret))
	phone := i.earn(byPassword("phone"))
	next := i.earn(byRefresh("phone", phone.Refresh))
	robot := i.earn(byRobot())
	inHead, err := i.must("POST", "/oauth2/token", byPassword("shop").Encode(), form, "Authorization: Basic "+basic).tokens()
	if err != nil {
		i.Fatal(err)
	}
	for _, t := range []tokens{inBody, phone, next, robot, inHead} {
		s.add("an access token", t.Access)
		s.add("a refresh token", t.Refresh)
		s.add("an ID token", t.ID)
	}
	const wrong, forged = "wrong-but-nearly-right-9f3c", "a-forged-token-5d1e7b"
	s.add("what was tried as a secret", wrong, forged)
	for _, r := range []struct {
		path, body string
		lines      []string
		status     int
	}{
		{"/", "", []string{bearer(inBody.Access)}, 200},
		{"/", "", []string{bearer(inBody.ID)}, 401},
		{"/", "", []string{bearer(forged)}, 401},
		{"/", "", []string{bearer(inBody.Access + wrong)}, 401},
		{"/", "", []string{bearer(inBody.Access), bearer(forged)}, 400},
		{"/", "", []string{"Authorization: Basic " + basic}, 401},
		{"/userinfo", "", []string{bearer(phone.Access)}, 200},
		{"/userinfo", "", []string{bearer(forged)}, 401},
		{"/oauth2/token", with(byPassword("phone"), "password", wrong).Encode(), nil, 400},
		{"/oauth2/token", with(byPassword("phone"), "username", wrong).Encode(), nil, 400},
		{"/oauth2/token", with(byRobot(), "client_secret", wrong).Encode(), nil, 401},
		{"/oauth2/token", with(byRobot(), "client_id", wrong).Encode(), nil, 401},
		{"/oauth2/token", with(byRobot(), "grant_type", wrong).Encode(), nil, 400},
		{"/oauth2/token", with(byRobot(), "scope", wrong).Encode(), nil, 400},
		{"/oauth2/token", byRobot().Encode() + "&client_secret=" + wrong, nil, 400},
		{"/oauth2/token", byRefresh("phone", wrong).Encode(), nil, 400},
		{"/oauth2/token", `{"password":"` + wrong + `","x":`, []string{"Content-Type: application/json"}, 400},
		{"/oauth2/token", byPassword("shop").Encode(), []string{form, "Authorization: Basic " + wrong}, 400},
		{"/oauth2/introspect", with(byRobot(), "token", robot.Access).Encode(), nil, 200},
		{"/oauth2/introspect", with(byRobot(), "token", forged).Encode(), nil, 200},
		{"/oauth2/revoke", with(byRobot(), "token", robot.Access).Encode(), nil, 200},
		{"/oauth2/revoke", with(byRefresh("phone", ""), "token", next.Refresh).Encode(), nil, 200},
		{"/oauth2/token", byRefresh("phone", next.Refresh).Encode(), nil, 400},
		{"/", "", []string{bearer(robot.Access)}, 401},
		{"/", "", []string{bearer(next.Access)}, 401},
	} {
		method := http.MethodPost
		if r.body == "" {
			method = http.MethodGet
		}
		if a := i.must(method, r.path, r.body, r.lines...); a.status != r.status {
			i.Errorf("%s %s %.60s: %d %s, want %d", method, r.path, r.body, a.status, a.body, r.status)
		}
	}
}

// The backend, too, is told who calls, and not how that was proved.
func TestNoSecretIsInAnyLogOrFileNorBehindTheGate(t *testing.T) {
	i := newInstance(t)
	i.configure(threeClients, strings.Replace(oneSite, "\ttoken_issuer\n", "\ttoken_issuer\n\tlog\n", 1), "\tdebug\n")
	i.start()
	i.addAlice()
	var passed bytes.Buffer
	var writing sync.Mutex
	i.serve(func(_ http.ResponseWriter, r *http.Request) {
		writing.Lock()
		defer writing.Unlock()
		_ = r.Write(&passed)
	})
	found := secrets{}
	i.story(found)
	if out, err := i.reload(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	i.look(found, "while it runs")
	i.stop()
	i.look(found, "after its end")
	writing.Lock()
	defer writing.Unlock()
	for secret, what := range found {
		if strings.Contains(passed.String(), secret) {
			t.Errorf("the backend got %s", what)
		}
	}
	if passed.Len() == 0 {
		t.Error("the backend got nothing")
	}
}

// look searches every file the program has written.
func (i *instance) look(s secrets, when string) {
	i.Helper()
	files := 0
	err := filepath.WalkDir(i.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		for secret, what := range s {
			if n := bytes.Count(text, []byte(secret)); n > 0 {
				i.Errorf("%s, %s holds %s %d times", when, path, what, n)
			}
		}
		return err
	})
	if err != nil || files < 5 || len(s) < 25 {
		i.Errorf("looked for %d secrets in %d files: %v", len(s), files, err)
	}
	log, err := os.ReadFile(i.file("log"))
	if err != nil || bytes.Count(log, []byte(`"msg":"issuer request"`)) < 20 || !bytes.Contains(log, []byte(`"level":"debug"`)) ||
		!bytes.Contains(log, []byte(`"msg":"handled request"`)) || !bytes.Contains(log, []byte(`"msg":"gate refused"`)) {
		i.Errorf("the log does not tell the story: %v", err)
	}
}

// Whoever starts the program may have any umask, and nobody else may read keys.
func TestStoreIsTheOwnersAloneWhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077} {
		i := newInstance(t)
		i.configure(threeClients, oneSite)
		old := syscall.Umask(mask)
		i.start()
		syscall.Umask(old)
		i.addAlice()
		i.earn(byPassword("phone"))
		files, err := filepath.Glob(i.file("data/caddy/token_issuer/*"))
		if err != nil || len(files) < 2 {
			t.Errorf("umask %o: files %q, %v", mask, files, err)
		}
		for _, file := range files {
			if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
				t.Errorf("umask %o: %s is %v, %v", mask, filepath.Base(file), info.Mode(), err)
			}
		}
		if info, err := os.Stat(i.file("data/caddy/token_issuer")); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("umask %o: the folder is %v, %v", mask, info.Mode(), err)
		}
	}
}

var series = regexp.MustCompile(`(?m)^gatehouse_\S+`)

func TestMetricsCountWhatHappensAndNothingThatStrangersInvent(t *testing.T) {
	i := newInstance(t)
	i.configure(threeClients, oneSite)
	i.start()
	i.addAlice()
	i.serve(func(http.ResponseWriter, *http.Request) {})
	robot := i.earn(byRobot()).Access
	i.earn(byPassword("phone"))
	i.must("GET", "/", "", bearer(robot))
	i.must("GET", "/", "")
	i.must("GET", "/", "", bearer("x"+robot))
	text := i.metrics()
	for _, line := range []string{
		`gatehouse_issuer_requests_total{client="robot",endpoint="token",error="none",grant="client_credentials"} 1`,
		`gatehouse_issuer_requests_total{client="phone",endpoint="token",error="none",grant="password"} 1`,
		`gatehouse_issuer_request_duration_seconds_count{endpoint="token"} 2`,
		`gatehouse_gate_requests_total{outcome="accepted",reason="none"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	if n := strings.Count(text, `gatehouse_gate_requests_total{outcome="refused",`); n != 2 {
		t.Errorf("%d reasons of refusals, want 2", n)
	}

	invent := func(n int) int {
		for k := range 20 {
			word := fmt.Sprintf("invented-%d-%d", n, k)
			i.post("/oauth2/token", with(byRobot(), "client_id", word))
			i.post("/oauth2/token", with(byRobot(), "grant_type", word))
			i.post("/oauth2/token", with(byRobot(), "scope", word))
			i.post("/oauth2/token", with(byPassword("phone"), "username", word))
			i.must("POST", "/oauth2/"+word, "x=y")
			i.must("GET", "/"+word, "", bearer(word))
			i.must(strings.ToUpper(word), "/oauth2/token", "")
		}
		text := i.metrics()
		if strings.Contains(text, "invented") || strings.Contains(text, "INVENTED") {
			t.Error("a stranger's word is a label")
		}
		return len(series.FindAllString(text, -1))
	}
	if first, second := invent(1), invent(2); first != second || first == 0 {
		t.Errorf("%d series have become %d", first, second)
	}
	if out, err := i.reload(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if !strings.Contains(i.metrics(), `gatehouse_gate_requests_total{outcome="accepted",reason="none"} 1`) {
		t.Error("a reload has reset the counters")
	}
}
