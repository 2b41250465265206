package tokenissuer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// updateUserinfo is PATCH /userinfo of the documented API. What is not sent stays
// as it is.
func (i *Issuer) updateUserinfo(r *request) error {
	claims, c, who, err := i.personOfToken(r)
	if err != nil {
		return err
	}
	if !mayWrite(c, claims.Scopes) {
		return oauth.Fail(oauth.InsufficientScope, oauth.MissingScope)
	}
	form, err := oauth.ReadTexts(r.w, r.Request, oauth.JSON)
	if err != nil {
		return err
	}
	if err := i.updatable(form); err != nil {
		return err
	}
	next, err := i.update(r, c, form, who)
	if err != nil {
		return err
	}
	return i.tellPerson(r, c, claims, &next)
}

// update makes the changes of a form to an account, again where somebody else was
// first.
func (i *Issuer) update(r *request, c *client.Client, form oauth.Form, who store.Account) (store.Account, error) {
	for try := 0; ; try++ {
		next, writes, err := i.edited(r, c, form, who)
		if err != nil || len(writes) == 0 {
			return next, err
		}
		err = i.state.store.Apply(r.Context(), r.now, writes...)
		if errors.Is(err, store.ErrConflict) {
			if refused := i.accounts.UpdatesUsedUp(r.Context(), r.now, c.ID, who.ID, writes); refused != nil {
				return next, refused
			}
		}
		switch {
		case err == nil:
			i.codes.moved(r.now, who, next, "")
			return next, nil
		case !errors.Is(err, store.ErrConflict):
			return next, err
		case try >= mostUpdates:
			return next, oauth.Wrap(oauth.TemporarilyUnavailable, oauth.LostRace, err)
		}
		// The account was changed meanwhile: this change is made to what is there now.
		if who, err = i.account(r, who.ID); err != nil {
			return next, err
		}
	}
}

// mostUpdates is how often a change gives way to others of the same account.
const mostUpdates = 5

// mayWrite reports whether a client may change the profile with a token of these
// scopes: one that the operator trusts with people's proofs, or one that its person
// let see the profile. Somebody else's app with openid alone was let know who they
// are, and the consent page named nothing more.
func mayWrite(c *client.Client, granted oauth.Scopes) bool {
	return mayMove(c) || granted.Has("profile")
}

// updatable judges which attributes were sent, not what they hold.
func (i *Issuer) updatable(form oauth.Form) error {
	fixed := false
	for _, name := range form.Sent() {
		switch {
		case isIdentifier(name), slices.Contains(profileNames, name), slices.Contains(i.config.Attributes, name):
		case name == "username", name == "password", slices.Contains(fixedNames, name), slices.Contains(i.config.OperatorAttributes, name):
			fixed = true
		default:
			return oauth.Fail(oauth.InvalidRequest, oauth.UnknownAttribute)
		}
	}
	if fixed {
		return oauth.Fail(oauth.InvalidRequest, oauth.UnsupportedAttribute)
	}
	return nil
}

// edited is the account as the form wants it, and the writes that make it so:
// none where it is so already.
func (i *Issuer) edited(r *request, c *client.Client, form oauth.Form, who store.Account) (next store.Account, writes []store.Write, err error) {
	next = who
	i.profileOf(form, &next)
	if err := errors.Join(account.CheckProfile(next), account.CheckPlace(next)); err != nil {
		return next, nil, unfit(err)
	}
	for _, a := range []struct {
		kind     store.IdentifierKind
		into     *string
		verified *bool
	}{{store.ByPhone, &next.Phone, &next.PhoneVerified}, {store.ByEmail, &next.Email, &next.EmailVerified}} {
		if !mentions(form, string(a.kind)) {
			continue
		}
		to, ok := i.accounts.Reachable(a.kind, form.Get(string(a.kind)))
		switch {
		case !ok:
			return next, nil, malformed(a.kind)
		case to == *a.into && form.Get(string(a.kind)+otpTokenSuffix) == "":
			continue // a profile that is sent back whole proves nothing, and changes nothing
		case !mayMove(c):
			return next, nil, oauth.Fail(oauth.InsufficientScope, oauth.MissingScope)
		}
		to, spend, err := i.owns(r, c, form, account.ForUserinfo, a.kind)
		if err == nil {
			err = i.free(r, a.kind, to, who.ID)
		}
		if err != nil {
			return next, nil, err
		}
		*a.into, *a.verified = to, true
		writes = append(writes, spend...)
	}
	if len(writes) == 0 && same(next, who) {
		return next, nil, nil
	}
	return next, i.accounts.Update(r.now, c.ID, who, next, writes...), nil
}

// same compares the profiles of one account.
func same(a, b store.Account) bool {
	if len(a.Attributes) != len(b.Attributes) {
		return false
	}
	for name, value := range a.Attributes {
		if other, ok := b.Attributes[name]; !ok || other != value {
			return false
		}
	}
	return a.Name == b.Name && a.Nickname == b.Nickname && a.ZoneInfo == b.ZoneInfo && a.Locale == b.Locale
}

// account reads the account of a token.
func (i *Issuer) account(r *request, id string) (store.Account, error) {
	who, err := i.state.store.Account(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		return who, oauth.Fail(oauth.UserNotFound, oauth.AccountGone)
	}
	if err != nil {
		return who, fmt.Errorf("reading the account: %w", err)
	}
	return who, nil
}

// mayMove reports whether a client may change the addresses that an account is
// reached and reset by: one that handles people's proofs itself, or is the
// operator's own. Any other got a consent to know who somebody is, and could take
// the account over with a mailbox of its own.
func mayMove(c *client.Client) bool {
	return c.FirstParty || c.MayUse(oauth.GrantPassword) || c.MayUse(oauth.GrantOTPSMS) || c.MayUse(oauth.GrantOTPEmail)
}
