package tokenissuer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/portal"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// codes sends one-time codes, for clients and for the portal.
type codes struct {
	state    *State
	accounts *account.Accounts
	sources  map[string]account.CodeSource
	order    []string // of the configuration
	senders  map[string]message.Sender
	inbox    *message.Inbox // nil outside development

	perNumber []Rate
	perClient Rate
	name      string // of the portal, in the text
	locale    string
}

// Codes for other things than a sign-in belong to no source: these are the
// documented values.
const (
	otherDigits   = 6
	otherLifetime = time.Minute
)

// Whoever needs no secret to have codes sent is held to what one household, or
// one office, needs.
var perAddress = Rate{30, time.Hour}

func newCodes(config Config, state *State, accounts *account.Accounts) (*codes, error) {
	c := &codes{
		state: state, accounts: accounts, sources: map[string]account.CodeSource{}, senders: map[string]message.Sender{},
		perNumber: config.OTPPerNumber, perClient: config.OTPPerClient, name: config.Portal.Name, locale: "en",
	}
	if u, err := url.Parse(config.Issuer); err == nil && c.name == "" {
		c.name = u.Hostname()
	}
	if len(config.Locales) > 0 {
		c.locale = config.Locales[0]
	}
	if config.Development {
		c.inbox = message.NewInbox(0, config.Inbox)
	}
	for _, s := range config.Sources {
		if _, isOTP := s.otpKind(); !isOTP {
			continue
		}
		sender, err := s.sender()
		if err != nil {
			return nil, &ConfigError{Source: s.ID, Option: "send", Mend: err.Error()}
		}
		if sender == nil {
			sender = c.inbox
		}
		c.sources[s.ID], c.senders[s.ID] = s.codes(), sender
		c.order = append(c.order, s.ID)
	}
	return c, nil
}

// ofStrangers is the part of a number's daily messages that one network gets for
// which nobody vouches: a single stranger must not leave none to whoever has the
// number.
const ofStrangers = 5

// parcel is one code to be sent.
type parcel struct {
	account.Sending        // To as the person typed it
	by              string // the source whose sender takes it
	digits          int
	lifetime        time.Duration
	locale          string // "": the first of the configuration
	from            netip.Addr
	unproven        bool // nobody vouches for the request: from is held to account
	decoy           bool // nobody has the address, and that must not show
	apart           bool // how sending ends must not show either
}

// send stores a code, sends it, and returns its otp_token. Stored first: a code
// that arrives is one that can be used. A message that could not be sent leaves
// nothing behind but what it cost.
//
// Where the limits refuse another code to who has a good one, Once says so, that
// one is the answer: somebody pressed twice, or went back.
func (c *codes) send(ctx context.Context, now time.Time, p parcel) (portal.Sent, error) {
	to, ok := c.accounts.Reachable(p.Kind, p.To)
	if !ok {
		return portal.Sent{}, malformed(p.Kind)
	}
	p.To = to
	token, code, record, err := c.accounts.NewCode(now, p.Sending, p.digits, p.lifetime, !p.decoy)
	if err != nil {
		return portal.Sent{}, err
	}
	if err := c.book(ctx, now, p, record); err != nil {
		if before, lookErr := c.state.store.OneTimeCode(ctx, record.Code.Hash); lookErr == nil && account.CodeLives(now, before) {
			return portal.Sent{Token: token, Lifetime: before.CodeExpires.Sub(now), Before: true}, nil
		}
		return portal.Sent{}, err
	}
	return portal.Sent{Token: token, Lifetime: p.lifetime}, c.post(ctx, now, p, code, record)
}

// post sends a code that is stored and paid for.
func (c *codes) post(ctx context.Context, now time.Time, p parcel, code string, record store.PutOneTimeCode) error {
	// Sent or not is settled even if the client hangs up; the sender has a time
	// limit of its own.
	ctx = context.WithoutCancel(ctx)
	deliver := func() error {
		if p.decoy {
			return nil
		}
		err := c.senders[p.by].Send(ctx, c.message(now, p, code))
		// Where the answer is given already, a failure must not show either: what an
		// unknown address keeps, a known one keeps too.
		if err == nil || p.apart {
			return err
		}
		return errors.Join(err, c.undo(ctx, now, p, record, err))
	}
	if p.apart {
		c.state.aside("sending a one-time code", deliver)
		return nil
	}
	if err := deliver(); err != nil {
		return unsent(p.Kind, err)
	}
	return nil
}

func (c *codes) message(now time.Time, p parcel, code string) message.Message {
	m := message.Message{
		ID: uuid.NewString(), To: p.To, Code: code, Usage: p.Usage, Locale: p.locale, ClientID: p.Client, Time: now,
	}
	if m.Locale == "" {
		m.Locale = c.locale
	}
	if p.Kind == store.ByEmail {
		return message.Mail(m, c.name, p.lifetime)
	}
	return message.SMS(m, c.name, p.lifetime)
}

// undo forgets a code that was not sent, and what its number paid for it. After
// a timeout nobody knows whether it was: the number is spared another message.
// What the client and the address paid is the price of trying.
func (c *codes) undo(ctx context.Context, now time.Time, p parcel, record store.PutOneTimeCode, cause error) error {
	writes := []store.Write{store.RemoveOneTimeCode{Hash: record.Code.Hash}}
	if !errors.Is(cause, context.DeadlineExceeded) {
		for _, q := range c.quotas(p) {
			if q.ofNumber {
				writes = append(writes, store.ReturnQuota{Key: q.take.Key})
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, message.Timeout)
	defer cancel()
	return c.state.store.Apply(ctx, now, writes...)
}

// unsent names what went wrong with a message.
func unsent(kind store.IdentifierKind, err error) error {
	if failed, ok := errors.AsType[*message.Error](err); ok && failed.Refused && kind == store.ByEmail {
		return oauth.Wrap(oauth.InvalidEmail, oauth.RefusedAddress, err)
	}
	return oauth.Wrap(oauth.TemporarilyUnavailable, oauth.SendingFailed, err)
}

func malformed(kind store.IdentifierKind) error {
	if kind == store.ByPhone {
		return oauth.Fail(oauth.MalformedPhoneNumber, oauth.MalformedPhone)
	}
	return oauth.Fail(oauth.MalformedEmailAddress, oauth.MalformedEmail)
}

// quota is one limit that a message is under.
type quota struct {
	take     store.TakeQuota
	ofNumber bool
	code     string
	reason   oauth.Reason
}

// quotas are the limits a message is under, the narrowest first.
func (c *codes) quotas(p parcel) []quota {
	key := func(of string, r Rate, fields ...string) store.TakeQuota {
		return store.TakeQuota{Key: c.accounts.QuotaKey(append(fields, of, r.Within.String())...), Most: r.Count, Window: r.Within}
	}
	phone := p.Kind == store.ByPhone
	var all []quota
	ofNumber := func(take store.TakeQuota) {
		q := quota{take: take, ofNumber: true, code: oauth.MailRateLimitExceeded, reason: oauth.MailboxUsedUp}
		if phone {
			q.code, q.reason = oauth.SMSRateLimitExceeded, oauth.NumberUsedUp
		}
		all = append(all, q)
	}
	for _, r := range c.perNumber {
		if p.unproven && r.Within >= time.Hour {
			part := Rate{max(1, r.Count/ofStrangers), r.Within}
			ofNumber(key("messages from network", part, string(p.Kind), p.To, account.Network(p.from)))
		}
		ofNumber(key("messages to", r, string(p.Kind), p.To))
	}
	if p.unproven {
		all = append(all, quota{take: key("messages from", perAddress, prefix(p.from).String()), code: oauth.TemporarilyUnavailable, reason: oauth.TooManyRequests})
	}
	q := quota{take: key("messages of client", c.perClient, p.Client), code: oauth.InsufficientMailQuota, reason: oauth.EmailUsedUp}
	if phone {
		q.code, q.reason = oauth.InsufficientSMSQuota, oauth.SMSUsedUp
	}
	return append(all, q)
}

// book stores a code, in the place of the one before to the same Once, and takes
// what its message costs, all or nothing.
func (c *codes) book(ctx context.Context, now time.Time, p parcel, record store.PutOneTimeCode) error {
	limits := c.quotas(p)
	var writes []store.Write
	for _, q := range limits {
		writes = append(writes, q.take)
	}
	err := c.state.store.Apply(ctx, now, append(writes, store.RemoveOneTimeCode{Hash: record.Code.Hash}, record)...)
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	for _, q := range limits {
		taken, lookErr := c.state.store.Quota(ctx, now, q.take.Key)
		if lookErr != nil {
			return lookErr
		}
		if taken.Taken >= q.take.Most {
			refused := oauth.Fail(q.code, q.reason)
			refused.Retry = taken.Ends.Sub(now)
			return refused
		}
	}
	// One was used up and given back in between.
	return oauth.Wrap(oauth.TemporarilyUnavailable, oauth.TooManyRequests, fmt.Errorf("booking a message: %w", err))
}
