package tokenissuer

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/grant"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// TestRoleTakenAwayIsInNoTokenThatIsBeingMade: between the look at the account
// and the token an operator takes its role away.
func TestRoleTakenAwayIsInNoTokenThatIsBeingMade(t *testing.T) {
	i, err := New(Config{
		Issuer: "https://auth.example.com", OperatorAttributes: []string{"role"},
		Clients: []Client{{ID: "app", Type: "mobile", Grants: []string{"password"}, Scopes: []string{"openid"}, Claims: []string{"role"}}},
	}, openState(t, func(err error) { t.Error(err) }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.AddUser(t.Context(), NewUser{Username: "alice", Password: "correct horse battery staple"}); err != nil {
		t.Fatal(err)
	}
	set := func(role string) {
		t.Helper()
		if err := i.SetUserAttributes(t.Context(), "alice", map[string]string{"role": role}); err != nil {
			t.Fatal(err)
		}
	}
	set("admin")
	byPassword, looks := i.grants[oauth.GrantPassword], 0
	i.grants[oauth.GrantPassword] = func(ctx context.Context, q grant.Request) (*grant.Authorization, error) {
		a, err := byPassword(ctx, q)
		if looks++; looks == 2 {
			set("")
		}
		return a, err
	}
	for _, want := range []bool{true, false} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://auth.example.com/oauth2/token",
			strings.NewReader("grant_type=password&client_id=app&auth_source_id=password&username=alice&password=correct+horse+battery+staple"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		i.ServeHTTP(w, r)
		_, token, _ := strings.Cut(w.Body.String(), `"access_token":"`)
		parts := strings.Split(token, ".")
		if w.Code != http.StatusOK || len(parts) < 3 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil || strings.Contains(string(payload), `"role":"admin"`) != want {
			t.Errorf("role in the token: want %v: %s %v", want, payload, err)
		}
	}
	if looks != 2 {
		t.Errorf("the password was looked at %d times, want once for each sign-in", looks)
	}
}

// TestWhatPeopleWriteHoldsNoTokenUp: an app with a token of somebody changes a text
// of theirs each time another app is about to get its tokens.
func TestWhatPeopleWriteHoldsNoTokenUp(t *testing.T) {
	i, err := New(Config{
		Issuer: "https://auth.example.com", Attributes: []string{"team"}, OperatorAttributes: []string{"role"},
		Clients: []Client{{ID: "app", Type: "mobile", Grants: []string{"password"}, Scopes: []string{"openid"}, Claims: []string{"role"}}},
	}, openState(t, func(err error) { t.Error(err) }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.AddUser(t.Context(), NewUser{Username: "alice", Password: "correct horse battery staple"}); err != nil {
		t.Fatal(err)
	}
	byPassword := i.grants[oauth.GrantPassword]
	for _, c := range []struct {
		attribute string
		looks     int // how often the account is looked at; its password always once
		status    int
	}{
		{"team", 1, http.StatusOK},
		{"role", 1 + mostUpdates, http.StatusServiceUnavailable}, // and never invalid_grant
	} {
		looks, proofs := 0, 0
		var changing func(grant.Func) grant.Func // the account after each look
		changing = func(ask grant.Func) grant.Func {
			return func(ctx context.Context, q grant.Request) (*grant.Authorization, error) {
				a, err := ask(ctx, q)
				looks++
				if err != nil {
					return nil, err
				}
				a.Again = changing(a.Again)
				return a, i.SetUserAttributes(ctx, "alice", map[string]string{c.attribute: strconv.Itoa(looks)})
			}
		}
		i.grants[oauth.GrantPassword] = changing(func(ctx context.Context, q grant.Request) (*grant.Authorization, error) {
			proofs++
			return byPassword(ctx, q)
		})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://auth.example.com/oauth2/token",
			strings.NewReader("grant_type=password&client_id=app&auth_source_id=password&username=alice&password=correct+horse+battery+staple"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		i.ServeHTTP(w, r)
		if w.Code != c.status || looks != c.looks || proofs != 1 {
			t.Errorf("%s: %d %s after %d looks and %d proofs", c.attribute, w.Code, w.Body, looks, proofs)
		}
	}
}

// TestPasswordChangedMeanwhileIsAskedForAgain: what was proved is kept as long as
// it holds, and no longer.
func TestPasswordChangedMeanwhileIsAskedForAgain(t *testing.T) {
	i, err := New(Config{
		Issuer:  "https://auth.example.com",
		Clients: []Client{{ID: "app", Type: "mobile", Grants: []string{"password"}, Scopes: []string{"openid"}}},
	}, openState(t, func(err error) { t.Error(err) }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.AddUser(t.Context(), NewUser{Username: "alice", Password: "correct horse battery staple"}); err != nil {
		t.Fatal(err)
	}
	byPassword := i.grants[oauth.GrantPassword]
	for _, c := range []struct {
		name      string
		meanwhile func() error
		reason    string
	}{
		{"another password", func() error { return i.SetUserPassword(t.Context(), "alice", "another good password") }, "wrong_credentials"},
		{"frozen", func() error { _, err := i.SetUserState(t.Context(), "alice", store.Frozen, ""); return err }, "account_frozen"},
		{"locked", func() error { _, err := i.SetUserState(t.Context(), "alice", store.Locked, ""); return err }, "account_locked"},
		{"removed", func() error { return i.RemoveUser(t.Context(), "alice") }, "wrong_credentials"},
	} {
		if err := i.SetUserPassword(t.Context(), "alice", "correct horse battery staple"); err != nil {
			t.Fatal(err)
		}
		if _, err := i.SetUserState(t.Context(), "alice", store.Active, ""); err != nil {
			t.Fatal(err)
		}
		i.grants[oauth.GrantPassword] = func(ctx context.Context, q grant.Request) (*grant.Authorization, error) {
			a, err := byPassword(ctx, q)
			if err == nil {
				err = c.meanwhile()
			}
			return a, err
		}
		var seen Event
		i.config.Observe = func(e Event) { seen = e }
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://auth.example.com/oauth2/token",
			strings.NewReader("grant_type=password&client_id=app&auth_source_id=password&username=alice&password=correct+horse+battery+staple"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		i.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || seen.Reason != c.reason {
			t.Errorf("%s: %d %s, %s", c.name, w.Code, w.Body, seen.Reason)
		}
	}
}
