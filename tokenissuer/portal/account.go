package portal

import (
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// slash leads people who left it away to the address that is written everywhere.
func (v *visit) slash() error { return v.see(v.href("/portal/")) }

func (v *visit) home() error { return v.see(v.href("/portal/account")) }

// member is the account that is signed in. false: the answer leads to the sign-in
// and back to the account.
func (v *visit) member() (store.Account, bool, error) {
	if v.signedIn {
		who, err := v.p.o.Store.Account(v.r.Context(), v.session.Account)
		v.zone = zoneOf(who)
		return who, err == nil, err
	}
	v.pending = pending{Request: Request{MaxAge: -1, Asked: v.now}, Expires: v.now.Add(pendingFor)}
	if err := v.reseal(); err != nil {
		return store.Account{}, false, err
	}
	return store.Account{}, false, v.see(v.href(loginPath))
}

// freshFor is how long after the sign-in a person may change how the account is
// reached, or give it a first password. Whoever can do that can sign in ever
// after: a browser left alone for a while must not be enough.
const freshFor = 15 * time.Minute

func (v *visit) fresh() bool { return v.now.Sub(v.session.AuthTime) < freshFor }

// signInAgain leads to the sign-in, and back. It offers what this session was
// signed in with: not every account can be signed in to in the operator's first way.
func (v *visit) signInAgain(back string) error {
	v.pending = pending{
		Request: Request{MaxAge: -1, Asked: v.now.Truncate(time.Millisecond), Prompt: []string{"login"}},
		Expires: v.now.Add(pendingFor), Back: back,
	}
	if _, ok := v.p.method(v.session.Source); ok {
		v.method = v.session.Source
	}
	return v.orElse(v.reseal(), loginPath)
}

// zoneOf is where the times of an account are told. What is no zone, or not known
// on this machine, is UTC; "Local" would tell where the server stands.
func zoneOf(a store.Account) *time.Location {
	zone, err := time.LoadLocation(a.ZoneInfo)
	if err != nil || zone == time.Local {
		return time.UTC
	}
	return zone
}

// nameOf is what an account is called on a page: by what its person knows it by.
func nameOf(a store.Account) string {
	for _, name := range []string{a.Username, a.Email, a.Phone, a.Name, a.Nickname} {
		if name != "" {
			return name
		}
	}
	return a.ID
}

// told is the notice after a form that did something; the address names it. A link
// from elsewhere to that address does not put it into our mouth; a browser from
// before 2023 does not tell where it was led from.
func (v *visit) told(notice string) string {
	from := v.r.Header.Get("Sec-Fetch-Site")
	if v.form.Get("done") != "1" || from != "" && from != "same-origin" {
		return ""
	}
	return v.words.T("done." + notice)
}

// done leads from a form back to its page, with a notice.
func (v *visit) done() error { return v.see(v.href(v.r.URL.Path, "done", "1")) }

// entry is a session of the list.
type entry struct {
	Session store.Session
	Here    bool
}

func (v *visit) browsersPage() error {
	if _, ok, err := v.member(); !ok {
		return err
	}
	sessions, err := v.p.o.Store.SessionsOf(v.r.Context(), v.now, v.session.Account)
	if err != nil {
		return err
	}
	var list []entry
	for _, s := range sessions {
		e := entry{s, s.ID == v.session.ID}
		if e.Here {
			list = append([]entry{e}, list...)
			continue
		}
		list = append(list, e)
	}
	return v.show(http.StatusOK, "browsers", view{Menu: true, Done: v.told("browsers"), Data: list})
}

// endBrowser signs out another browser of the same account, and ends what every
// app got there: whoever does this may have lost the machine. One that is gone
// already is what was asked for.
func (v *visit) endBrowser() error {
	if _, ok, err := v.member(); !ok {
		return err
	}
	sessions, err := v.p.o.Store.SessionsOf(v.r.Context(), v.now, v.session.Account)
	if err != nil {
		return err
	}
	for _, s := range sessions { // another account's is not among them
		if s.ID == v.form.Get("end") && s.ID != v.session.ID {
			if err := v.p.end(v.r.Context(), v.now, s, store.RevokeSession{ID: s.ID, All: true}); err != nil {
				return err
			}
			return v.done()
		}
	}
	if v.form.Get("end") == v.session.ID { // this one has a page of its own
		return oauth.Fail(oauth.InvalidRequest, NoSuchEntry)
	}
	return v.done()
}
