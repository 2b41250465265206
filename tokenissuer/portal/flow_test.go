package portal

import (
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestFlow(t *testing.T) {
	before, after := noon.Add(-time.Hour), noon.Add(time.Minute)
	request := func(change func(*Request)) Request {
		r := Request{Client: "shop", Scopes: []string{"openid", "email"}, MaxAge: -1, Asked: noon}
		if change != nil {
			change(&r)
		}
		return r
	}
	session := func(at time.Time) store.Session { return store.Session{Account: "ann", Source: "staff", AuthTime: at} }
	both := store.Consent{Scopes: []string{"email", "profile", "openid"}, Updated: before}
	prompt := func(words ...string) func(*Request) { return func(r *Request) { r.Prompt = words } }
	none, login, choose, again := prompt("none"), prompt("login"), prompt("select_account"), prompt("consent")
	of := func(account string, words ...string) func(*Request) {
		return func(r *Request) { r.Subject, r.Prompt = account, words }
	}
	asks := func(source string) func(*Request) { return func(r *Request) { r.Source = source } }
	age := func(n int64, words ...string) func(*Request) {
		return func(r *Request) { r.MaxAge, r.Prompt = n, words }
	}
	in := func(at time.Time, f facts) facts {
		f.signedIn, f.session = true, session(at)
		return f
	}
	for _, c := range []struct {
		name  string
		facts facts
		want  step
		code  string
	}{
		{"a stranger", facts{request: request(nil), trusted: true}, signIn, ""},
		{"a stranger, silently", facts{request: request(none), trusted: true}, deny, LoginRequired},
		{"signed in, of the operator's own app", in(before, facts{request: request(nil), trusted: true}), finish, ""},
		{"signed in, silently", in(before, facts{request: request(none), trusted: true}), finish, ""},
		{"signed in, no consent", in(before, facts{request: request(nil)}), consent, ""},
		{"signed in, no consent, silently", in(before, facts{request: request(none)}), deny, ConsentRequired},
		{"signed in, consent", in(before, facts{request: request(nil), given: both}), finish, ""},
		{"consent to less", in(before, facts{request: request(nil), given: store.Consent{Scopes: []string{"openid"}, Updated: before}}), consent, ""},
		{"no scopes, no consent", in(before, facts{request: request(func(r *Request) { r.Scopes = nil })}), consent, ""},
		{"no scopes, consent to sign in", in(before, facts{request: request(func(r *Request) { r.Scopes = nil }), given: store.Consent{Updated: before}}), finish, ""},
		{"consent asked for again", in(before, facts{request: request(again), given: both}), consent, ""},
		{"consent given again", in(before, facts{request: request(again), given: store.Consent{Scopes: both.Scopes, Updated: after}}), finish, ""},
		{"consent asked for again by the operator's own app", in(before, facts{request: request(again), trusted: true}), finish, ""},
		{"login asked for", in(before, facts{request: request(login), given: both}), signIn, ""},
		{"login asked for and done", in(after, facts{request: request(login), given: both}), finish, ""},
		{"login asked for and done in the same millisecond", in(noon, facts{request: request(login), given: both}), finish, ""},
		{"a choice of account asked for", in(before, facts{request: request(choose), given: both}), signIn, ""},
		{"young enough", in(before, facts{request: request(age(3600)), given: both}), finish, ""},
		{"too old", in(before, facts{request: request(age(3599)), given: both}), signIn, ""},
		{"too old, silently", in(before, facts{request: request(age(3599, "none")), given: both}), deny, LoginRequired},
		{"max_age=0 is a login", in(noon.Add(-time.Millisecond), facts{request: request(age(0)), given: both}), signIn, ""},
		{"max_age=0 after the login", in(after, facts{request: request(age(0)), given: both}), finish, ""},
		{"max_age without an end", in(before, facts{request: request(age(1<<63 - 1)), given: both}), finish, ""},
		{"the source that was asked for", in(before, facts{request: request(asks("staff")), given: both}), finish, ""},
		{"another source was asked for", in(before, facts{request: request(asks("sms")), given: both}), signIn, ""},
		{"a source that the client does not take", in(before, facts{request: request(nil), given: both, sources: []string{"sms"}}), signIn, ""},
		{"the person that was asked for", in(before, facts{request: request(of("ann", "none")), given: both}), finish, ""},
		{"another person is signed in", in(before, facts{request: request(of("bob")), given: both}), signIn, ""},
		{"another person is signed in, silently", in(before, facts{request: request(of("bob", "none")), given: both}), deny, LoginRequired},
		{"another person signs in", in(after, facts{request: request(of("bob")), given: both}), deny, LoginRequired},
		{"nobody yet, a person is asked for", facts{request: request(of("bob"))}, signIn, ""},
		{"no", in(before, facts{request: request(nil), denied: true}), deny, AccessDenied},
		{"no, and the consent is there", in(before, facts{request: request(nil), denied: true, given: both}), deny, AccessDenied},
	} {
		if c.facts.sources == nil {
			c.facts.sources = []string{"staff", "sms"}
		}
		if got, code := next(c.facts); got != c.want || code != c.code {
			t.Errorf("%s: step %d %q, want %d %q", c.name, got, code, c.want, c.code)
		}
	}
}
