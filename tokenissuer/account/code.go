package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// What one-time codes are sent for.
const (
	ForLogin    = "login"
	ForSignup   = "signup"
	ForUserinfo = "update_userinfo"
	ForReset    = "reset_password"
)

const (
	// tokenLifetime is the documented one; codes live shorter.
	tokenLifetime = 5 * time.Minute

	// triesPerCode wrong codes end an otp_token.
	triesPerCode = 5

	// triesPerNetwork wrong codes within triesWindow, over all otp_tokens, end the
	// guessing at one phone number or mailbox from one network, triesOfStrangers that
	// of all networks together. Fifty messages a day with five tries each would be 250
	// tries, 1 in 4,000 for six digits and 1 in 40 for four.
	triesPerNetwork  = 20
	triesOfStrangers = 100
	triesWindow      = 24 * time.Hour
)

// CodeSource is a source of one-time codes as the operator configured it.
type CodeSource struct {
	ID       string
	Kind     store.IdentifierKind // ByPhone or ByEmail
	Digits   int
	Lifetime time.Duration
}

// AMR says how a code proves somebody (RFC 8176 §2).
func (s CodeSource) AMR() []string {
	if s.Kind == store.ByPhone {
		return []string{"otp", "sms"}
	}
	return []string{"otp"}
}

// Sending is what a one-time code is asked for with. Whoever shows the code
// shows all of it again: a code for one thing is good for nothing else.
type Sending struct {
	Client string
	Source string // "" where the code is not for a sign-in
	Usage  string
	Kind   store.IdentifierKind
	To     string

	// Once, a secret, makes asking again with the same give the same otp_token, for
	// which there is one code at a time; "" gives another each time.
	Once string
}

// NewCode makes a one-time code, the otp_token that goes with it, and the record
// to store before the code is sent. To must be normalised. sent false makes a
// decoy, which no code satisfies.
func (a *Accounts) NewCode(now time.Time, s Sending, digits int, lifetime time.Duration, sent bool) (token, code string, record store.PutOneTimeCode, err error) {
	var b [48]byte
	rand.Read(b[:])
	if s.Once != "" {
		digest := a.digest("otp_token", s.Once, s.Client, s.Source, s.Usage, string(s.Kind), s.To)
		copy(b[:], digest[:])
		clear(b[len(digest):])
	}
	token = base64.RawURLEncoding.EncodeToString(b[:])
	n, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil))
	if err != nil {
		return "", "", record, fmt.Errorf("making a code: %w", err)
	}
	code = fmt.Sprintf("%0*d", digits, n)
	return token, code, store.PutOneTimeCode{Code: store.OneTimeCode{
		Hash: sha256.Sum256([]byte(token)), CodeHash: a.codeHash(token, code), Sent: sent,
		Client: s.Client, Source: s.Source, Usage: s.Usage, Kind: s.Kind, Destination: s.To,
		CodeExpires: now.Add(lifetime), Expires: now.Add(tokenLifetime),
	}}, nil
}

// CodeLives reports whether the right code would still be taken.
func CodeLives(now time.Time, record store.OneTimeCode) bool {
	return now.Before(record.CodeExpires) && record.Failures < triesPerCode
}

// codeHash is keyed with our key and with the otp_token, of which the store
// knows the hash alone: a million codes are tried out in no time otherwise.
func (a *Accounts) codeHash(token, code string) store.Hash {
	return a.digest("one-time code", token, code)
}

// CheckCode proves that who asks has the address a code was sent to. To is as
// typed; the normalised one is returned. The order of its checks is the contract's:
//
//  1. the otp_token is known, not over, and not spent on wrong codes
//  2. everything is as it was when the code was sent
//  3. not too many wrong codes for this number or mailbox, over all otp_tokens
//  4. the code
//
// A wrong code is remembered before the answer. For a right one the writes are
// returned that use it up; until they are applied it stays good.
func (a *Accounts) CheckCode(ctx context.Context, now time.Time, s Sending, token, code string, from netip.Addr) (to string, _ []store.Write, _ error) {
	hash := store.Hash(sha256.Sum256([]byte(token)))
	record, land, err := a.guess(ctx, now, hash)
	if err != nil {
		return "", nil, refusal(err)
	}
	defer land()
	to, ok := Normalise(s.Kind, s.To, a.region)
	if !ok || record.Client != s.Client || record.Source != s.Source || record.Usage != s.Usage || record.Kind != s.Kind || record.Destination != to {
		return "", nil, oauth.Fail(oauth.InvalidRequest, oauth.MismatchedOTP)
	}
	tries, err := a.tries(ctx, now, s.Kind, to, from)
	if err != nil {
		return "", nil, refusal(err)
	}
	if err := a.checkTries(ctx, now, tries); err != nil {
		return "", nil, err
	}
	expected, shown := record.CodeHash, a.codeHash(token, code)
	right := subtle.ConstantTimeCompare(expected[:], shown[:]) == 1
	if !right || !record.Sent || !now.Before(record.CodeExpires) {
		return "", nil, a.rememberGuess(ctx, now, hash, tries)
	}
	var writes []store.Write
	for _, t := range tries {
		writes = append(writes, store.RequireQuota{Key: t.Key, Most: t.Most})
	}
	return to, append(writes, store.SpendOneTimeCode{Hash: hash, Most: triesPerCode}), nil
}

// guess begins to look at a code. As many as there are tries left do so at once, or a
// thousand guesses sent together would all be answered; land ends it.
func (a *Accounts) guess(ctx context.Context, now time.Time, hash store.Hash) (record store.OneTimeCode, land func(), err error) {
	land, err = a.guesses.enter(ctx, hash, func() (left int, err error) {
		record, err = a.store.OneTimeCode(ctx, hash)
		switch {
		case errors.Is(err, store.ErrNotFound), err == nil && !now.Before(record.Expires), err == nil && record.Failures >= triesPerCode:
			return 0, deadToken()
		case err != nil:
			return 0, err
		}
		return triesPerCode - record.Failures, nil
	})
	return record, land, err
}

// checkTries refuses whoever has guessed too often already.
func (a *Accounts) checkTries(ctx context.Context, now time.Time, tries []store.TakeQuota) error {
	for _, t := range tries {
		guessed, err := a.store.Quota(ctx, now, t.Key)
		if err != nil {
			return refusal(err)
		}
		if guessed.Taken >= t.Most {
			return deadToken()
		}
	}
	return nil
}

func deadToken() error { return oauth.Fail(oauth.InvalidGrant, oauth.UnknownOTPToken) }

// rememberGuess counts a wrong code and returns the answer to it. The caller may
// be gone by then: it counts all the same.
func (a *Accounts) rememberGuess(ctx context.Context, now time.Time, hash store.Hash, tries []store.TakeQuota) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rememberFor)
	defer cancel()
	writes := []store.Write{store.FailOneTimeCode{Hash: hash, Most: triesPerCode}}
	for _, t := range tries {
		writes = append(writes, t)
	}
	err := a.store.Apply(ctx, now, writes...)
	switch {
	case errors.Is(err, store.ErrConflict):
		return deadToken()
	case err != nil:
		return refusal(err)
	}
	return oauth.Fail(oauth.InvalidGrant, oauth.WrongOTP)
}

// tries are what a wrong code for a number or a mailbox counts against. An address
// that the account has signed in from has tries of its own. A stranger is under two
// counts: of the network, so that one who uses them up keeps nobody out who comes
// from somewhere else, be it the owner or whoever has the number but no account
// yet; and of all strangers together.
func (a *Accounts) tries(ctx context.Context, now time.Time, kind store.IdentifierKind, to string, from netip.Addr) ([]store.TakeQuota, error) {
	who, err := a.store.FindAccount(ctx, kind, to)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	known, err := a.store.KnownAddress(ctx, now, who.ID, a.addressKey(who.ID, from))
	if err != nil {
		return nil, err
	}
	count := func(most int, fields ...string) store.TakeQuota {
		return store.TakeQuota{Key: a.digest(append(fields, string(kind), to)...), Most: most, Window: triesWindow}
	}
	if known && from.IsValid() {
		return []store.TakeQuota{count(triesPerNetwork, "codes guessed at address", address(from))}, nil
	}
	return []store.TakeQuota{
		count(triesPerNetwork, "codes guessed at network", Network(from)),
		count(triesOfStrangers, "codes guessed"),
	}, nil
}

// SignIn proves a person by the one-time code that was sent to a phone or a
// mailbox. Where nobody has that, signup makes an account which does. The writes
// use the code up, and are applied with the sign-in.
func (a *Accounts) SignIn(ctx context.Context, now time.Time, s Sending, token, code string, signup bool, from netip.Addr) (store.Account, []store.Write, error) {
	s.Usage = ForLogin
	to, writes, err := a.CheckCode(ctx, now, s, token, code, from)
	if err != nil {
		return store.Account{}, nil, err
	}
	who, err := a.store.FindAccount(ctx, s.Kind, to)
	switch {
	case errors.Is(err, store.ErrNotFound) && signup:
		created, put, err := a.bareAccount(ctx, now, s, to)
		if err != nil {
			return store.Account{}, nil, err
		}
		who, writes = created, append(writes, put...)
	case errors.Is(err, store.ErrNotFound):
		return store.Account{}, nil, oauth.Fail(oauth.InvalidGrant, oauth.UnknownUser)
	case err != nil:
		return store.Account{}, nil, refusal(err)
	case who.State == store.Locked:
		return store.Account{}, nil, oauth.Fail(oauth.InvalidGrant, oauth.AccountLocked).About(who.ID)
	case who.State != store.Active:
		return store.Account{}, nil, oauth.Fail(oauth.InvalidGrant, oauth.AccountFrozen).About(who.ID)
	}
	// Verified or not, it has to be the account's still when this is written.
	verified(&who, s.Kind)
	writes = append(writes, store.VerifyIdentifier{Account: who.ID, Kind: s.Kind, Value: to})
	who.PasswordHash = "" // nobody behind here needs it, so nobody can log it
	return who, append(writes, store.PutKnownAddress{Account: who.ID, Address: a.addressKey(who.ID, from)}), nil
}

// bareAccount is an account of which one address is all that is known.
func (a *Accounts) bareAccount(ctx context.Context, now time.Time, s Sending, to string) (store.Account, []store.Write, error) {
	in := Create{Email: to}
	if s.Kind == store.ByPhone {
		in = Create{Phone: to}
	}
	return a.Create(ctx, now, s.Client, Source{}, in)
}

// verified notes that an address of the account is verified.
func verified(who *store.Account, kind store.IdentifierKind) {
	if kind == store.ByPhone {
		who.PhoneVerified = true
		return
	}
	who.EmailVerified = true
}

// Reachable gives a phone number or an e-mail address the spelling that messages
// go to, the stored one: the mailbox of Ann@ may be another person's than that of
// ann@, and only one of them can have the account.
func (a *Accounts) Reachable(kind store.IdentifierKind, raw string) (string, bool) {
	to, ok := Normalise(kind, raw, a.region)
	if !ok || kind == store.ByUsername || kind == store.ByPhone && !textable(to) {
		return "", false
	}
	return to, true
}

// QuotaKey is a key for counting something, such as messages, of which the store
// learns no name.
func (a *Accounts) QuotaKey(fields ...string) store.Hash {
	return a.digest(append([]string{"quota"}, fields...)...)
}
