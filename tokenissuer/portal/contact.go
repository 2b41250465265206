package portal

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

const (
	emailPath = accountPath + "/email"
	phonePath = accountPath + "/phone"
	codePath  = "/code" // behind one of them
)

// contact is one address of an account that is about to change.
type contact struct {
	kind     store.IdentifierKind
	path     string
	now      string // "" where there is none
	verified bool
	reached  func(kind store.IdentifierKind, raw string) (string, bool)
}

func (v *visit) contactOf(who store.Account, kind store.IdentifierKind) contact {
	reached := v.p.o.Accounts.Reachable
	if kind == store.ByPhone {
		return contact{kind, phonePath, who.Phone, who.PhoneVerified, reached}
	}
	return contact{kind, emailPath, who.Email, who.EmailVerified, reached}
}

// is reports whether an address is the present one, however it is written.
func (c contact) is(to string) bool {
	stored, ok := c.reached(c.kind, to)
	return to != "" && (to == c.now || ok && stored == c.now)
}

// confirmed reports whether an address is the present one, which nobody has proved.
func (c contact) confirmed(to string) bool { return c.is(to) && !c.verified }

// contactTitle is what the page of an address is for.
func (v *visit) contactTitle(c contact, to string) string {
	switch {
	case c.now == "":
		return v.words.T("contact.add." + string(c.kind))
	case c.confirmed(to):
		return v.words.T("contact.confirm." + string(c.kind))
	}
	return v.words.T("contact.change." + string(c.kind))
}

// moving is the account with the address that the page is about, for a person who
// has signed in lately. false: the answer is given.
func (v *visit) moving() (store.Account, contact, bool, error) {
	who, ok, err := v.member()
	if !ok {
		return who, contact{}, false, err
	}
	path := strings.TrimSuffix(v.r.URL.Path, codePath)
	kind := store.ByEmail
	if path == phonePath {
		kind = store.ByPhone
	}
	if !slices.Contains(v.p.addressable(), kind) {
		return who, contact{}, false, oauth.Fail(oauth.NotFound, oauth.UnknownEndpoint)
	}
	if !v.fresh() {
		return who, contact{}, false, v.signInAgain(path)
	}
	return who, v.contactOf(who, kind), true, nil
}

// contactPage asks for the new address.
func (v *visit) contactPage() error {
	who, c, ok, err := v.moving()
	if !ok {
		return err
	}
	to := ""
	switch x, err := v.p.open(v.browser, v.now, v.form.Get("p_state")); {
	case v.form.Get("confirm") != "" && !c.verified:
		to = c.now
	case err == nil && x.Account == who.ID && x.Code.Kind == c.kind:
		to = x.Code.To // another code is wanted, or it was a slip
	}
	return v.showContact(http.StatusOK, c, cmp.Or(v.typedName(string(c.kind)), to), v.wrong)
}

func (v *visit) showContact(status int, c contact, to string, wrong *problem) error {
	name := string(c.kind)
	label, lead := v.words.T("contact.new."+name), v.presently(c)
	if c.confirmed(to) {
		label, lead = v.words.T("profile."+name), ""
	}
	fields := []field{{
		Name: name, Label: label, Value: to, Type: "text",
		Autocomplete: keyboards[c.kind], Mode: keyboards[c.kind], Hint: v.words.T("signup.hint"),
	}}
	mark(fields, wrong, "")
	return v.show(status, "contact", view{Menu: true, Title: v.contactTitle(c, to), Problem: wrong, Data: struct {
		Lead, Action, Button, Back, BackText string
		Fields                               []field
	}{lead, c.path, v.words.T("login.send"), v.href(accountPath), v.words.T("contact.back"), fields}})
}

// presently says what the address is now.
func (v *visit) presently(c contact) string {
	if c.now == "" {
		return ""
	}
	return v.words.T("contact.now", c.now)
}

// contact sends a code to the new address, to one that somebody has as well: only
// who reads what is sent there learns that.
func (v *visit) contact() error {
	who, c, ok, err := v.moving()
	if !ok {
		return err
	}
	to := v.typedName(string(c.kind))
	switch {
	case to == "":
		text := v.words.T("login.empty.name", v.words.T("kind."+string(c.kind)))
		return v.showContact(http.StatusBadRequest, c, to, &problem{string(c.kind), text})
	case account.KindOf(to) != c.kind:
		return v.showContact(http.StatusBadRequest, c, to, &problem{string(c.kind), v.words.T("contact.bad." + string(c.kind))})
	case c.is(to) && c.verified:
		return v.showContact(http.StatusBadRequest, c, to, &problem{string(c.kind), v.words.T("contact.same")})
	}
	v.pending = pending{Request: Request{MaxAge: -1, Asked: v.now}, Expires: v.now.Add(pendingFor), Account: who.ID}
	return v.sendTo(account.ForUserinfo, c.kind, to, c.path+codePath, func(wrong *problem) error {
		wrong.Field = string(c.kind)
		return v.showContact(http.StatusBadRequest, c, to, wrong)
	})
}

// moved is moving with a code on its way, for this account and this address.
func (v *visit) moved() (store.Account, contact, bool, error) {
	who, c, ok, err := v.moving()
	if !ok {
		return who, c, false, err
	}
	if err := v.resume(); err != nil {
		return who, c, false, err
	}
	if v.pending.Code.Kind != c.kind || v.pending.Account != who.ID {
		return who, c, false, oauth.Fail(oauth.InvalidRequest, ForeignState)
	}
	return who, c, true, nil
}

// contactCodePage asks for the code.
func (v *visit) contactCodePage() error {
	_, c, ok, err := v.moved()
	if !ok {
		return err
	}
	if c.verified && c.is(v.pending.Code.To) { // it is done, and somebody went back
		v.state = ""
		return v.see(v.href(accountPath))
	}
	return v.showContactCode(http.StatusOK, c, v.wrong)
}

func (v *visit) showContactCode(status int, c contact, wrong *problem) error {
	fields := []field{v.codeField()}
	mark(fields, wrong, "")
	return v.show(status, "contact", view{Menu: true, Title: v.contactTitle(c, v.pending.Code.To), Done: v.told("code"), Problem: wrong, Data: struct {
		Lead, Action, Button, Back, BackText string
		Fields                               []field
	}{v.codeSent("code.sent"), c.path + codePath, v.words.T("save"), v.href(c.path), v.words.T("code.again"), fields}})
}

// contactCode takes the code. A conflict means that the account or the code
// changed meanwhile: what is there now is asked once more.
func (v *visit) contactCode() error {
	who, c, ok, err := v.moved()
	if !ok {
		return err
	}
	for try := 0; ; try++ {
		done, err := c.verified && c.is(v.pending.Code.To), error(nil) // pressed twice
		if !done {
			done, err = v.move(who, c)
		}
		switch {
		case err == nil && done:
			v.state = ""
			return v.see(v.href(accountPath, "done", "1"))
		case !errors.Is(err, store.ErrConflict) || try > 0:
			return err
		}
		if who, err = v.p.o.Store.Account(v.r.Context(), who.ID); err != nil {
			return err
		}
	}
}

// takenContact asks for another address: the code was right and helps nobody.
func (v *visit) takenContact(c contact, to string) error {
	field := string(c.kind)
	wrong := problem{field, v.words.T("contact.taken", to)}
	led, err := v.turnBack(c.path, wrong, map[string]string{field: to})
	if led || err != nil {
		return err
	}
	return v.showContactCode(http.StatusBadRequest, c, &problem{"code", wrong.Text})
}

// move writes the new address. false: the answer is given.
func (v *visit) move(who store.Account, c contact) (bool, error) {
	to, writes, wrong, err := v.owner()
	switch {
	case err != nil:
		return false, err
	case wrong != nil:
		return false, v.showContactCode(http.StatusBadRequest, c, wrong)
	}
	other, err := v.p.o.Store.FindAccount(v.r.Context(), c.kind, to)
	switch {
	case err == nil && other.ID != who.ID:
		return false, v.takenContact(c, to)
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return false, err
	}
	next := who
	if c.kind == store.ByPhone {
		next.Phone, next.PhoneVerified = to, true
	} else {
		next.Email, next.EmailVerified = to, true
	}
	err = v.update(who, next, writes...)
	if err == nil && v.p.o.Moved != nil {
		v.p.o.Moved(v.now, who, next, v.words.T("language"))
	}
	return true, err
}
