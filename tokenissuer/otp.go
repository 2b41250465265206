package tokenissuer

import (
	"errors"
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// sendOTP is POST /otp/send of the documented API: a one-time code to a phone or
// a mailbox, and the otp_token that goes with it to the client.
func (i *Issuer) sendOTP(r *request) error {
	c, form, err := i.authenticate(r, client.SendOTP)
	if err != nil {
		return err
	}
	p, err := i.parcel(r, c, form)
	if err != nil {
		return err
	}
	if err := i.judgeRecipient(r, &p); err != nil {
		return err
	}
	sent, err := i.codes.send(r.Context(), r.now, p)
	if err != nil {
		return err
	}
	return r.json("application/json", struct {
		OTPToken string `json:"otp_token"`
	}{sent.Token})
}

// parcel reads what is to be sent, and by which source.
func (i *Issuer) parcel(r *request, c *client.Client, form oauth.Form) (parcel, error) {
	p := parcel{digits: otherDigits, lifetime: otherLifetime, from: r.event.From, unproven: r.byID}
	p.Client = c.ID
	if p.Usage = form.Get("usage"); p.Usage == "" {
		p.Usage = account.ForLogin
	}
	if !slices.Contains([]string{account.ForLogin, account.ForSignup, account.ForUserinfo, account.ForReset}, p.Usage) {
		return p, oauth.FailParam(oauth.InvalidRequest, oauth.BadParameter, "usage")
	}
	phone, email := form.Get("phone_number"), form.Get("email")
	switch {
	case (phone == "") == (email == ""):
		return p, oauth.FailParam(oauth.InvalidRequest, oauth.BadParameter, "phone_number")
	case phone != "":
		p.Kind, p.To = store.ByPhone, phone
	default:
		p.Kind, p.To = store.ByEmail, email
	}
	id := form.Get("auth_source_id")
	if p.Usage != account.ForLogin {
		return p, i.codes.lend(&p, c)
	}
	if id == "" && !c.Rules.SourceOptional {
		return p, oauth.FailParam(oauth.InvalidRequest, oauth.MissingParameter, "auth_source_id")
	}
	return p, i.codes.address(&p, c, id)
}

// address finds the source of a code for a sign-in: the one that is named, or
// the client's first of the kind.
func (c *codes) address(p *parcel, of *client.Client, id string) error {
	for _, associated := range of.Sources {
		if s, ok := c.sources[associated]; ok && s.Kind == p.Kind && (id == associated || id == "") {
			p.Source, p.by, p.digits, p.lifetime = s.ID, s.ID, s.Digits, s.Lifetime
			return nil
		}
	}
	return oauth.Fail(oauth.InvalidAuthSource, oauth.SourceCannotSend)
}

// lend finds a source whose sender takes a code that is not for a sign-in: of
// the client's first, then any.
func (c *codes) lend(p *parcel, of *client.Client) error {
	for _, id := range slices.Concat(of.Sources, c.order) {
		if s, ok := c.sources[id]; ok && s.Kind == p.Kind {
			p.by = id
			return nil
		}
	}
	return oauth.Fail(oauth.InvalidAuthSource, oauth.SourceCannotSend)
}

// judgeRecipient looks for who has the address, where that matters. A sign-in
// does not: the code goes out in any case. For a reset nothing that can be seen or
// measured may differ, so the message goes out after the answer, or not at all.
func (i *Issuer) judgeRecipient(r *request, p *parcel) error {
	if p.Usage == account.ForLogin {
		return nil
	}
	to, ok := i.accounts.Reachable(p.Kind, p.To)
	if !ok {
		return malformed(p.Kind)
	}
	_, err := i.state.store.FindAccount(r.Context(), p.Kind, to)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	taken := err == nil
	switch {
	case p.Usage == account.ForReset:
		p.decoy, p.apart = !taken, true
	case taken && p.Kind == store.ByPhone:
		return oauth.Fail(oauth.PhoneNumberIsUsed, oauth.PhoneTaken)
	case taken:
		return oauth.Fail(oauth.EmailIsUsed, oauth.EmailTaken)
	}
	return nil
}
