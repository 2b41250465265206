package gate_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

func expression(t testing.TB, text string) *gate.Expression {
	t.Helper()
	e, err := gate.NewExpression(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const euClaims = `"scope":["read"],"department":"eu","level":7,"ratio":0.5,"admin":true,"groups":["a","ops"],"address":{"country":"DE"},"none":null`

func TestExpressionJudgesClaimsAndRequest(t *testing.T) {
	s := newScene(t)
	raw := s.signedText(t, "JWT", withClaims(euClaims))
	for text, passes := range map[string]bool{
		`true`:                         true,
		`false`:                        false,
		`claims.department == "eu"`:    true,
		`claims["department"] == "us"`: false,
		`claims.department == "us" || request.method == "GET"`:    true,
		`claims.department == "us" || request.method == "DELETE"`: false,
		`request.path.startsWith("/orders")`:                      true,
		`request.host == "app.example.com"`:                       true,
		`request.client_ip == "192.0.2.1"`:                        true,
		`claims.level >= 7 && claims.level < 8.5`:                 true,
		`claims.ratio < 1`:                                        true,
		`claims.admin == true`:                                    true,
		`claims.none == null`:                                     true,
		`claims.address.country in ["DE", "FR"]`:                  true,
		`"ops" in claims.groups`:                                  true,
		`claims.groups.exists(g, g.startsWith("op"))`:             true,
		`claims.groups.all(g, g == "ops")`:                        false,
		`now < timestamp(claims.exp)`:                             true,
		`now - timestamp(claims.iat) > duration("1h")`:            false,
		`has(claims.manager) && claims.manager == "x"`:            false,
		`!has(claims.manager)`:                                    true,

		// What cannot be answered is a no, whichever way it is asked.
		`claims.manager == "x"`:                     false,
		`claims.manager != "x"`:                     false,
		`!(claims.manager == "x")`:                  false,
		`claims.department > 7`:                     false,
		`int(claims.department) == 7 || 1 / 0 == 1`: false,
		`timestamp(claims.department) < now`:        false,
		// One side that says yes is enough, as CEL has it.
		`claims.manager == "x" || claims.department == "eu"`: true,
	} {
		g := s.gate(t, gate.Config{Expression: expression(t, text)})
		for _, reading := range []string{"first", "cached"} {
			if err := through(g, request(raw), s.now); (err == nil) != passes {
				t.Errorf("%s, %s: %v", text, reading, err)
			}
			s.cache.Wait()
		}
	}
}

func TestRefusalOfAnExpressionIsForbidden(t *testing.T) {
	s := newScene(t)
	for _, text := range []string{`claims.sub == "bob"`, `claims.nosuch == "x"`} {
		g := s.gate(t, gate.Config{Expression: expression(t, text)})
		_, err := g.Check(request(s.sign(t, "alice")), s.now)
		r := refusal(t, err)
		if r.Status != http.StatusForbidden || r.Reason != gate.ExpressionRefused || !strings.Contains(r.Challenge, `error="insufficient_scope"`) {
			t.Errorf("%s: %d %s %s", text, r.Status, r.Reason, r.Challenge)
		}
	}
}

// The answer that is kept with a token is of one expression, and of none that
// looks at more than the claims.
func TestKeptAnswerIsOfThisExpressionAlone(t *testing.T) {
	s := newScene(t)
	yes := s.gate(t, gate.Config{Expression: expression(t, `claims.sub == "alice"`)})
	no := s.gate(t, gate.Config{Expression: expression(t, `claims.sub == "bob"`)})
	reads := s.gate(t, gate.Config{Expression: expression(t, `request.method == "GET"`)})
	early := s.gate(t, gate.Config{Expression: expression(t, `now < timestamp(`+"1800000010"+`)`)})
	raw := s.sign(t, "alice")
	post := func() *http.Request {
		r := request(raw)
		r.Method = http.MethodPost
		return r
	}
	for round := range 3 {
		for _, c := range []struct {
			name   string
			gate   *gate.Gate
			r      *http.Request
			now    time.Time
			passes bool
		}{
			{"alice", yes, request(raw), s.now, true},
			{"not bob", no, request(raw), s.now, false},
			{"reading", reads, request(raw), s.now, true},
			{"writing", reads, post(), s.now, false},
			{"early", early, request(raw), s.now, true},
			{"late", early, request(raw), s.now.Add(20 * time.Second), false},
		} {
			if err := through(c.gate, c.r, c.now); (err == nil) != c.passes {
				t.Errorf("round %d, %s: %v", round, c.name, err)
			}
		}
		s.cache.Wait()
	}
}

// B18: an expression that asks for the path says nothing of one that a backend
// may read in another way.
func TestExpressionOverThePathRefusesAmbiguousOnes(t *testing.T) {
	s := newScene(t)
	raw := s.sign(t, "alice")
	g := s.gate(t, gate.Config{Expression: expression(t, `request.path.startsWith("/public/") || request.path != "/admin"`)})
	for _, path := range []string{"/public/../admin", "/public/%2e%2e/admin", "/public/..%2fadmin", "//admin", "/./admin", "/public/..;/admin", `/public/..%5cadmin`, "/%ff", "/%2561dmin", "/a%00b"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+raw)
		if err := through(g, r, s.now); err == nil {
			t.Errorf("%s passed", path)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/public/caf%C3%A9", nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	if err := through(g, r, s.now); err != nil {
		t.Errorf("a path in another language: %v", err)
	}
}

// Some servers take delete for DELETE, and an address that net/url leaves in one piece
// for the path in it: the rule has seen neither.
func TestExpressionRefusesWhatItHasNotSeen(t *testing.T) {
	s := newScene(t)
	raw := s.sign(t, "alice")
	for _, c := range []struct {
		rule, method, target string
		passes               bool
		host                 string
	}{
		{`request.host != "admin.example"`, "GET", "/", true, "app.example:8443"},
		{`request.host != "admin.example"`, "GET", "/", false, "admin.example."},
		{`request.host != "admin.example"`, "GET", "/", false, "admin.example:1:2"},
		{`request.host != "admin.example"`, "GET", "/", false, "admin.example:80:"},
		{`request.method != "DELETE"`, "GET", "/", true, ""},
		{`request.method != "DELETE"`, "delete", "/", false, ""},
		{`request.method != "DELETE"`, "Delete", "/", false, ""},
		{`request.path != "/admin"`, "delete", "/", true, ""},
		{`!request.path.startsWith("/admin")`, "GET", "x:http://a/admin/x", false, ""},
		{`!request.path.startsWith("/admin")`, "GET", "http://a", false, ""},
		{`!request.path.startsWith("/admin")`, "GET", "http://a/", true, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		u, err := url.ParseRequestURI(c.target)
		if err != nil {
			t.Fatal(err)
		}
		r.Method, r.URL = c.method, u
		if c.host != "" {
			r.Host = c.host
		}
		r.Header.Set("Authorization", "Bearer "+raw)
		if err := through(s.gate(t, gate.Config{Expression: expression(t, c.rule)}), r, s.now); (err == nil) != c.passes {
			t.Errorf("%s of %s %s: %v", c.rule, c.method, c.target, err)
		}
	}
}

// What people write into a token cannot hold a processor: the work is bounded,
// and what is not done within the bound is a no.
func TestExpressionThatCostsTooMuchRefuses(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Expression: expression(t, `claims.groups.all(a, claims.groups.all(b, claims.groups.all(c, a + b + c != "")))`)})
	few := s.signedText(t, "JWT", withClaims(`"scope":[],"groups":["a","b"]`))
	if err := through(g, request(few), s.now); err != nil {
		t.Errorf("two groups: %v", err)
	}
	many := s.signedText(t, "JWT", withClaims(`"scope":[],"groups":["a"`+strings.Repeat(`,"a"`, 1000)+`]`))
	begin := time.Now()
	if err := through(g, request(many), s.now); err == nil {
		t.Error("a thousand million rounds passed")
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("it took %v to say no", took)
	}
}

func TestMistakesInAnExpressionAreToldAtTheStart(t *testing.T) {
	for text, says := range map[string]string{
		``:                         "empty",
		`claims.department = 1`:    "Syntax error",
		`claims.department`:        `yes or no: compare it, such as claims.department == "eu"`,
		`claims.sub + "x"`:         "yes or no",
		`"eu"`:                     "yes or no",
		`clams.department == "eu"`: "undeclared reference to 'clams'",
		`request.pth == "/"`:       "undeclared reference to 'request",
		`request.path == 7`:        "no matching overload",
		`claims.groups.exists(claims, claims.sub == "x")`:              "another meaning",
		`[1].exists(now, now == 1)`:                                    "another meaning",
		strings.Repeat("(", 2000) + "true" + strings.Repeat(")", 2000): "",
		`claims.sub == "` + strings.Repeat("x", 5000) + `"`:            "longer than 4096",
	} {
		if _, err := gate.NewExpression(text); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: %v, want %q in one line", text, err, says)
		}
	}
}

func TestExpressionTellsTheClaimsItReads(t *testing.T) {
	e := expression(t, `has(claims.a) && claims["b"] == "x" && "c" in claims && claims.d.e == 1 && request.path == "/" && claims.a == 1`)
	if got := strings.Join(e.Claims(), " "); got != "a b c d" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkExpression(b *testing.B) {
	for name, text := range map[string]string{
		"none":    "",
		"claims":  `claims.sub == "alice" && "orders:read" in claims.scope`,
		"metered": `claims.scope.exists(s, s == "orders:read") && request.method == "GET"`,
		"request": `claims.sub == "alice" && (request.method == "GET" || request.path.startsWith("/orders"))`,
	} {
		b.Run(name, func(b *testing.B) {
			s := newScene(b)
			c := gate.Config{}
			if text != "" {
				c.Expression = expression(b, text)
			}
			g := s.gate(b, c)
			r := request(s.sign(b, "alice"))
			authorization := r.Header["Authorization"]
			mustPass(b, g, r, s.now)
			s.cache.Wait()
			b.ReportAllocs()
			for b.Loop() {
				r.Header["Authorization"] = authorization
				mustPass(b, g, r, s.now)
			}
		})
	}
}

// Over HTTP/2 and HTTP/3 a WebSocket is opened by CONNECT, and rules about methods mean
// the one of HTTP/1.1.
func TestWebSocketIsReadByGetWhateverCarriesIt(t *testing.T) {
	s := newScene(t)
	raw := s.sign(t, "alice")
	websocket := http.Header{":protocol": {"websocket"}}
	for name, c := range map[string]struct {
		method, proto string
		major         int
		header        http.Header
		want          string
	}{
		"HTTP/3":                   {"CONNECT", "websocket", 3, nil, "GET"},
		"HTTP/2":                   {"CONNECT", "HTTP/2.0", 2, websocket, "GET"},
		"another protocol, HTTP/3": {"CONNECT", "connect-udp", 3, nil, "CONNECT"},
		"another protocol, HTTP/2": {"CONNECT", "HTTP/2.0", 2, http.Header{":protocol": {"connect-udp"}}, "CONNECT"},
		"a tunnel":                 {"CONNECT", "HTTP/2.0", 2, nil, "CONNECT"},
		"said by a caller":         {"CONNECT", "HTTP/1.1", 1, websocket, "CONNECT"},
		"a form":                   {"POST", "HTTP/3.0", 3, nil, "POST"},
	} {
		r := request(raw)
		r.Method, r.Proto, r.ProtoMajor = c.method, c.proto, c.major
		maps.Copy(r.Header, c.header)
		g := s.gate(t, gate.Config{Expression: expression(t, `request.method == "`+c.want+`"`)})
		if _, err := g.Check(r, s.now); err != nil {
			t.Errorf("%s: not %s: %v", name, c.want, err)
		}
	}
}

// A rule about the method or the path holds for each that a backend may serve.
func TestExpressionHoldsForEveryReading(t *testing.T) {
	s := newScene(t)
	raw := s.sign(t, "alice")
	for _, c := range []struct {
		rule, method, target string
		header               http.Header
		passes               bool
	}{
		{`request.method != "DELETE"`, "POST", "/x", nil, true},
		{`request.method != "DELETE"`, "POST", "/x", http.Header{"X-Http-Method-Override": {"delete"}}, false},
		{`request.method != "DELETE"`, "POST", "/x", http.Header{"X-Http-Method-Override": {"PUT"}}, true},
		{`request.method != "DELETE"`, "POST", "/x", http.Header{"X-Http-Method-Override": {"PUT", "PATCH"}}, false},
		{`request.method != "DELETE"`, "GET", "/x?_method=DELETE", nil, false},
		{`request.method == "GET"`, "GET", "/x?.method=DELETE", nil, false},
		{`request.method == "GET"`, "CONNECT", "/x", http.Header{":protocol": {"websocket"}}, true},
		{`request.method == "GET"`, "CONNECT", "/x?_method=DELETE", http.Header{":protocol": {"websocket"}}, false},
		{`request.method == "DELETE"`, "GET", "/x", http.Header{"X-Http-Method-Override": {"DELETE"}}, false},
		{`claims.sub == "alice"`, "POST", "/x", http.Header{"X-Http-Method-Override": {"DELETE"}}, true},
		{`!request.path.startsWith("/admin/")`, "GET", "/Warner_Bros.", nil, true},
		{`!request.path.startsWith("/admin/")`, "GET", "/admin./x", nil, false},
		{`!request.path.startsWith("/admin/")`, "GET", "/admin%3Fx", nil, false},
		{`request.path != "/admin.php"`, "GET", "/admin.php/x", nil, false},
		{`request.path != "/admin.php"`, "GET", "/ADMIN.PHP/", nil, true}, // a file of another name
		{`request.path != "/admin.php"`, "GET", "/admin.php./x", nil, false},
		{`request.path != "/admin.php"`, "GET", "/admin.php", nil, false},
		{`request.path != "/admin.php"`, "GET", "/a.php/b.php/c.php/d.php/e.php/f.php/g.php/h.php/i.php/j", nil, false},
		{`request.path != "/admin.php5"`, "GET", "/admin.php5/x", nil, false},
		{`request.path != "/admin/index.php" && !request.path.startsWith("/index.php/admin")`, "GET", "/admin/index.php/x", nil, false},
		{`request.path != "/admin.php" && request.path != "/admin.php/"`, "GET", "/admin.php/x", nil, false},
		{`request.path.endsWith(".css")`, "GET", "/admin.php/x.css", nil, false},
		{`request.path != "/admin.php"`, "GET", "/index.php/x", nil, true},
		{`request.path.startsWith("/index.php/x")`, "GET", "/index.php/x", nil, true},
		{`request.path.matches("^/index\\.php/(x|y)")`, "GET", "/index.php/x", nil, true},
		{`request.path.startsWith("/index.php/x")`, "GET", "/index.php/y", nil, false},
		{`request.method == "GET" || !request.path.startsWith("/admin/")`, "GET", "/admin./x", nil, true},
		{`request.method == "GET" || !request.path.startsWith("/admin/")`, "GET", "/admin./x?_method=PUT", nil, false},
	} {
		r := request(raw)
		if r.Method = c.method; c.method == http.MethodConnect {
			r.ProtoMajor = 2
		}
		maps.Copy(r.Header, c.header)
		var err error
		if r.URL, err = url.ParseRequestURI(c.target); err != nil {
			t.Fatal(err)
		}
		g := s.gate(t, gate.Config{Expression: expression(t, c.rule)})
		if _, err := g.Check(r, s.now); (err == nil) != c.passes {
			t.Errorf("%s: %s %s %v: %v", c.rule, c.method, c.target, c.header, err)
		}
	}
}

// J10: a pattern that a backtracking engine tries in 2^n ways, on what it is slowest with:
// linear, so the judgement of a whole token's worth of it comes back at all.
func TestPatternsAreLinear(t *testing.T) {
	s := newScene(t)
	const pattern = `^(a+)+$|^(a|aa)+$|^(.*a){12}$`
	g := s.gate(t, gate.Config{Expression: expression(t, `request.method == "GET" && claims.name.matches(r"`+pattern+`")`)})
	path := s.gate(t, gate.Config{Expression: expression(t, `request.path.matches(r"^/(a+)+$")`)})
	judge := func(name string, passes bool) time.Duration {
		r := request(s.signedText(t, "JWT", withClaims(`"scope":[],"name":"`+name+`"`)))
		r.URL.Path = "/" + name
		began := spent(t)
		for what, of := range map[string]*gate.Gate{"a claim": g, "the path": path} {
			if err := through(of, r.Clone(t.Context()), s.now); (err == nil) != passes {
				t.Errorf("%s of %d letters: %v", what, len(name), err)
			}
		}
		return spent(t) - began
	}
	judge(strings.Repeat("a", 4000), true)
	least := func(n int) time.Duration { // what else this process does is no matter of the pattern's
		best := judge(strings.Repeat("a", n)+"b", false)
		for range 30 {
			best = min(best, judge(strings.Repeat("a", n)+"b", false))
		}
		return best
	}
	if few, many := least(1000), least(4000); many > 12*few {
		t.Errorf("%v for 1,000 letters, %v for 4,000", few, many)
	}
}

// spent is the processor time of this process so far: on a busy machine no clock tells how
// much of a time was its own.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
