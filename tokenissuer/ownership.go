package tokenissuer

import (
	"errors"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// owns proves with the one-time code of a form that the person reads what is sent
// to an address. It returns the address as it is stored, and the writes that use
// the code up.
func (i *Issuer) owns(r *request, c *client.Client, form oauth.Form, usage string, kind store.IdentifierKind) (string, []store.Write, error) {
	name := string(kind)
	token, code := form.Get(name+otpTokenSuffix), form.Get(name+otpSuffix)
	if token == "" {
		return "", nil, deadToken(kind, nil)
	}
	if code == "" {
		return "", nil, wrongCode(kind, nil)
	}
	s := account.Sending{Client: c.ID, Usage: usage, Kind: kind, To: form.Get(name)}
	to, writes, err := i.accounts.CheckCode(r.Context(), r.now, s, token, code, r.event.From)
	switch e := oauth.AsError(err); {
	case err == nil:
		return to, writes, nil
	case e.Reason == oauth.WrongOTP:
		return "", nil, wrongCode(kind, e)
	case e.Reason == oauth.UnknownOTPToken || e.Reason == oauth.MismatchedOTP:
		return "", nil, deadToken(kind, e)
	}
	return "", nil, err
}

func deadToken(kind store.IdentifierKind, cause error) error {
	if kind == store.ByPhone {
		return oauth.Wrap(oauth.BadPhoneNumberOTPToken, oauth.BadOTPToken, cause)
	}
	return oauth.Wrap(oauth.BadEmailOTPToken, oauth.BadOTPToken, cause)
}

func wrongCode(kind store.IdentifierKind, cause error) error {
	if kind == store.ByPhone {
		return oauth.Wrap(oauth.BadPhoneNumberOTP, oauth.BadOTP, cause)
	}
	return oauth.Wrap(oauth.BadEmailOTP, oauth.BadOTP, cause)
}

// free says whether no other account has an identifier. It is asked after
// ownership was proved: who has the address may know.
func (i *Issuer) free(r *request, kind store.IdentifierKind, value, self string) error {
	who, err := i.state.store.FindAccount(r.Context(), kind, value)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && who.ID == self:
		return nil
	case err != nil:
		return err
	}
	switch kind {
	case store.ByPhone:
		return oauth.Fail(oauth.DuplicatePhoneNumber, oauth.IdentifierTaken)
	case store.ByEmail:
		return oauth.Fail(oauth.DuplicateEmail, oauth.IdentifierTaken)
	}
	return oauth.Fail(oauth.DuplicateUsername, oauth.IdentifierTaken)
}
