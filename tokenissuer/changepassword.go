package tokenissuer

import (
	"errors"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// changePassword is POST /change_user_password of the documented API. Every
// sign-in of the account ends with it, the one whose token asked for it too.
func (i *Issuer) changePassword(r *request) error {
	claims, _, err := i.bearer(r)
	if err != nil {
		return i.whoseToken(r, err)
	}
	if !opensPerson(r, claims) {
		return oauth.Fail(oauth.InsufficientScope, oauth.MissingScope)
	}
	r.event.Account = claims.Subject
	form, err := oauth.ReadForm(r.w, r.Request, r.dialect.bodies)
	if err != nil {
		return err
	}
	for _, name := range []string{"old_password", "new_password"} {
		if form.Get(name) == "" {
			return oauth.FailParam(oauth.InvalidRequest, oauth.MissingParameter, name)
		}
	}
	return i.setPassword(r, claims.Subject, func() (store.Account, []store.Write, error) {
		writes, err := i.accounts.ChangePassword(r.Context(), r.now, i.strictest(), claims.Subject, form.Get("old_password"), form.Get("new_password"), r.event.From)
		if err != nil {
			return store.Account{}, nil, err
		}
		who, err := i.state.store.Account(r.Context(), claims.Subject)
		return who, writes, err
	})
}

// resetPassword is POST /reset_user_password of the documented API: who reads
// what is sent to an address of the account may set its password.
func (i *Issuer) resetPassword(r *request) error {
	c, form, err := i.authenticate(r, client.Accounts)
	if err != nil {
		return err
	}
	if c.Type == client.M2M {
		return oauth.Fail(oauth.UnauthorizedClient, oauth.GrantNotAllowed)
	}
	kind := store.ByEmail
	if form.Get("phone_number") != "" {
		kind = store.ByPhone
	}
	if form.Get("password") == "" {
		return oauth.FailParam(oauth.InvalidRequest, oauth.MissingParameter, "password")
	}
	if (form.Get("email") == "") == (form.Get("phone_number") == "") {
		return oauth.FailParam(oauth.InvalidRequest, oauth.BadParameter, "email")
	}
	return i.setPassword(r, "", func() (store.Account, []store.Write, error) {
		to, writes, err := i.owns(r, c, form, account.ForReset, kind)
		if err != nil {
			return store.Account{}, nil, err
		}
		who, err := i.state.store.FindAccount(r.Context(), kind, to)
		if err != nil {
			return who, nil, err
		}
		r.event.Account = who.ID
		set, err := i.accounts.ResetPassword(r.Context(), r.now, i.strictest(), who, form.Get("password"))
		return who, append(append(writes, set...), store.VerifyIdentifier{Account: who.ID, Kind: kind, Value: to}), err
	})
}

// setPassword decides, applies and answers. A conflict means that the password
// was changed or the code used meanwhile: what is there now is asked once more.
func (i *Issuer) setPassword(r *request, subject string, decide func() (store.Account, []store.Write, error)) error {
	for try := 0; ; try++ {
		who, writes, err := decide()
		if errors.Is(err, store.ErrNotFound) {
			return oauth.Fail(oauth.UserNotFound, oauth.UserGone).About(subject)
		}
		if err != nil {
			return err
		}
		err = i.state.store.Apply(r.Context(), r.now, append(writes, i.telling(r.now, r.event.Account))...)
		switch {
		case err == nil:
			i.state.wake()
			i.codes.renewed(r.now, who, who.PasswordHash == "", "")
			r.empty()
			return nil
		case !errors.Is(err, store.ErrConflict):
			return err
		case try > 0:
			return oauth.Wrap(oauth.TemporarilyUnavailable, oauth.LostRace, err)
		}
	}
}

// whoseToken says of a bearer token that was refused what the documented API says
// here of its person: freezing and locking an account revoke its tokens, and the
// application is to be told which it was.
func (i *Issuer) whoseToken(r *request, err error) error {
	switch oauth.AsError(err).Reason {
	case oauth.AccountGone:
		return oauth.Fail(oauth.UserNotFound, oauth.UserGone)
	case oauth.RevokedToken:
	default:
		return err
	}
	raw, rawErr := oauth.Bearer(r.Header)
	claims, readErr := i.read(r.Context(), raw, r.now)
	if rawErr != nil || readErr != nil {
		return err
	}
	c, known := i.clients[r.family].Client(claims.ClientID)
	who, lookErr := i.state.store.Account(r.Context(), claims.Subject)
	if lookErr != nil || !known || c.Disabled || who.State == store.Active || !opensPerson(r, claims) {
		return err
	}
	r.speak(c)
	if who.State == store.Locked {
		return oauth.Fail(oauth.AbnormalUserStatus, oauth.UserLocked).About(who.ID)
	}
	return oauth.Fail(oauth.AbnormalUserStatus, oauth.UserFrozen).About(who.ID)
}
