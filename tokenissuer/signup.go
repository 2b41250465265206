package tokenissuer

import (
	"errors"
	"regexp"
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// usernamePattern is the documented one. Who signs up may have less than an
// operator may give.
var usernamePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,31}$`)

// signup is POST /signup of the documented API: a web application opens an
// account for a person. Nobody is signed in by it.
func (i *Issuer) signup(r *request) error {
	form, err := oauth.ReadTexts(r.w, r.Request, r.dialect.bodies)
	if err != nil {
		return err
	}
	c, err := i.sender(r, form, client.SignUp)
	if err != nil {
		return err
	}
	if c.Type != client.Web || !c.SignUp {
		return oauth.Fail(oauth.Misconfigured, oauth.SignUpNotEnabled)
	}
	if err := i.signupAttributes(c, form); err != nil {
		return err
	}
	for try := 0; ; try++ {
		in, proof, err := i.newcomer(r, c, form)
		if err != nil {
			return err
		}
		who, writes, err := i.accounts.Create(r.Context(), r.now, c.ID, i.strictest(), in)
		if err != nil {
			return unfit(err)
		}
		err = i.state.store.Apply(r.Context(), r.now, append(proof, writes...)...)
		switch {
		case err == nil:
			r.event.Account = who.ID
			return r.json("application/json", struct {
				Subject string `json:"sub"`
			}{who.ID})
		case !errors.Is(err, store.ErrConflict):
			return err
		case try > 0:
			return oauth.Wrap(oauth.TemporarilyUnavailable, oauth.LostRace, err)
		}
		// Somebody else took a name, or used the code up, since it was looked at: what
		// is there now says which.
	}
}

// signupAttributes judges which attributes were sent, not what they hold.
func (i *Issuer) signupAttributes(c *client.Client, form oauth.Form) error {
	kinds, password := i.signupKinds(c)
	unconfigured, identified := false, false
	for _, name := range form.Sent() {
		kind := store.IdentifierKind(name)
		switch {
		case kind == store.ByUsername || kind == store.ByEmail || kind == store.ByPhone:
			unconfigured = unconfigured || !slices.Contains(kinds, kind)
			identified = identified || form.Get(name) != ""
		case slices.Contains(fixedNames, name), slices.Contains(i.config.OperatorAttributes, name):
			unconfigured = true
		case name == "password", isIdentifier(name), isClientParameter(name),
			slices.Contains(profileNames, name), slices.Contains(i.config.Attributes, name):
		default:
			return oauth.Fail(oauth.InvalidRequest, oauth.UnknownAttribute)
		}
	}
	switch hasPassword := form.Get("password") != ""; {
	case hasPassword && !password:
		return oauth.Fail(oauth.Misconfigured, oauth.NoPasswordSource)
	case unconfigured:
		return oauth.Fail(oauth.InvalidRequest, oauth.UnconfiguredAttribute)
	case !identified, !hasPassword && form.Get("email") == "" && form.Get("phone_number") == "":
		// A name alone is nothing to sign in with.
		return oauth.Fail(oauth.InvalidRequest, oauth.MissingAttribute)
	}
	for _, kind := range identifierNames {
		if mentions(form, kind) && form.Get(kind) == "" {
			return oauth.Fail(oauth.InvalidRequest, oauth.MissingAttribute)
		}
	}
	return nil
}

func isClientParameter(name string) bool {
	return slices.Contains([]string{"client_id", "client_secret", "client_assertion", "client_assertion_type"}, name)
}

// signupKinds are the identifiers that sign people in through a client, and
// whether passwords do.
func (i *Issuer) signupKinds(c *client.Client) (kinds []store.IdentifierKind, password bool) {
	for _, id := range c.Sources {
		if s, ok := i.sources[id]; ok {
			kinds, password = append(kinds, s.Identifiers...), true
		}
		if s, ok := i.codes.sources[id]; ok {
			kinds = append(kinds, s.Kind)
		}
	}
	return kinds, password
}

// newcomer judges what the attributes hold: their form first, then whose the
// addresses are, then whether they are free.
func (i *Issuer) newcomer(r *request, c *client.Client, form oauth.Form) (in account.Create, writes []store.Write, err error) {
	var who store.Account
	i.profileOf(form, &who)
	if err := errors.Join(account.CheckProfile(who), account.CheckPlace(who)); err != nil {
		return in, nil, unfit(err)
	}
	in = account.Create{
		Username: form.Get("username"), Email: form.Get("email"), Phone: form.Get("phone_number"),
		Name: who.Name, Nickname: who.Nickname, ZoneInfo: who.ZoneInfo, Locale: who.Locale, Attributes: who.Attributes,
		Password: form.Get("password"),
	}
	if in.Username != "" {
		name, ok := account.Normalise(store.ByUsername, in.Username, i.config.PhoneRegion)
		if !ok || !usernamePattern.MatchString(in.Username) {
			return in, nil, oauth.Fail(oauth.InvalidUsername, oauth.UnfitUsername)
		}
		if err := i.free(r, store.ByUsername, name, ""); err != nil {
			return in, nil, err
		}
	}
	for _, a := range []struct {
		kind     store.IdentifierKind
		into     *string
		verified *bool
	}{{store.ByPhone, &in.Phone, &in.PhoneVerified}, {store.ByEmail, &in.Email, &in.EmailVerified}} {
		if *a.into == "" {
			continue
		}
		if _, ok := i.accounts.Reachable(a.kind, *a.into); !ok {
			return in, nil, malformed(a.kind)
		}
		to, spend, err := i.owns(r, c, form, account.ForSignup, a.kind)
		if err == nil {
			err = i.free(r, a.kind, to, "")
		}
		if err != nil {
			return in, nil, err
		}
		*a.into, *a.verified = to, true
		writes = append(writes, spend...)
	}
	return in, writes, nil
}

// unfit names what package account says about a value.
func unfit(err error) error {
	e, ok := errors.AsType[*account.InputError](err)
	switch {
	case !ok:
		return err
	case e.Field == "password":
		return oauth.Wrap(oauth.InvalidPassword, oauth.UnfitPassword, err)
	}
	return oauth.Wrap(oauth.IllegalParameterValue, oauth.UnfitAttribute, err)
}
