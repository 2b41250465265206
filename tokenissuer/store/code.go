package store

import (
	"context"
	"time"
)

// waitingCodes is how many unused codes an account has at one client. A code is
// redeemed within seconds; who opens more pages than this at once begins with the
// oldest again.
const waitingCodes = 20

// PutCode stores an authorization code. Above what an account may have waiting
// at a client the oldest gives way. Conflict: the hash exists, or the session it
// is given in, if any, is not its account's or has ended.
type PutCode struct{ Code Code }

var insertCode = writes(`
INSERT INTO codes (hash, client, account, source, redirect_uri, scopes, amr, nonce, challenge, auth_time, expires, spent, family,
	session, claims, acr)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
WHERE $14 = '' OR EXISTS (SELECT 1 FROM sessions WHERE id = $14 AND account = $3 AND expires > $17 /*[ FOR SHARE ]*/)
ON CONFLICT DO NOTHING`)

// What began a sign-in is no longer counted, and stays for keepSpentCodes.
var deleteOldCodes = writes(`
DELETE FROM codes WHERE account = $1 AND client = $2 AND family = '' AND n <= (
	SELECT n FROM codes WHERE account = $1 AND client = $2 AND family = '' ORDER BY n DESC LIMIT 1 OFFSET $3)`)

func (w PutCode) apply(ctx context.Context, t *transaction) error {
	c := &w.Code
	// The codes of an account come after one another, so that each counts those
	// before it.
	if err := t.hold(ctx, holdAccount, c.Account); err != nil {
		return err
	}
	err := t.must(ctx, insertCode, c.Hash[:], c.Client, c.Account, c.Source, c.RedirectURI, words(c.Scopes), words(c.AMR),
		c.Nonce, c.Challenge, millis(c.AuthTime), millis(c.Expires), millis(c.Spent), c.Family,
		c.Session, c.Claims, c.ACR, t.now)
	if err != nil {
		return err
	}
	return t.may(ctx, deleteOldCodes, c.Account, c.Client, waitingCodes)
}

// SpendCode uses a code up and names the family it begins. Conflict: unknown,
// expired or spent before.
type SpendCode struct {
	Hash   Hash
	Family string
}

var (
	holdAccountOfCode = hold(`SELECT 1 FROM accounts WHERE id = (SELECT account FROM codes WHERE hash = $1) FOR NO KEY UPDATE`)
	holdSessionOfCode = hold(`SELECT 1 FROM sessions WHERE id = (SELECT session FROM codes WHERE hash = $1) FOR NO KEY UPDATE`)
)

var spendCode = writes(`UPDATE codes SET spent = $2, family = $3 WHERE hash = $1 AND spent = 0 AND expires > $2`)

func (w SpendCode) apply(ctx context.Context, t *transaction) error {
	// The family that it begins needs them, and they come before the code, see hold.
	for _, h := range []hold{holdAccountOfCode, holdSessionOfCode} {
		if err := t.hold(ctx, h, w.Hash[:]); err != nil {
			return err
		}
	}
	return t.must(ctx, spendCode, w.Hash[:], t.now, w.Family)
}

// BurnCode makes a code useless without beginning a sign-in: another client
// came with it. One that is unknown or useless already is no conflict.
type BurnCode struct{ Hash Hash }

var burnCode = writes(`UPDATE codes SET spent = $2 WHERE hash = $1 AND spent = 0`)

func (w BurnCode) apply(ctx context.Context, t *transaction) error {
	return t.may(ctx, burnCode, w.Hash[:], t.now)
}

// keepSpentCodes is how long after its expiry a code is remembered that began a
// sign-in: whoever comes with it late still ends what it began (RFC 6749 §4.1.2).
// One that began nothing, unused or burnt, is swept when it has expired: nothing
// can be done with it that an unknown one could not.
const keepSpentCodes = time.Hour

var selectCode = reads(`
SELECT hash, client, account, source, redirect_uri, scopes, amr, nonce, challenge, auth_time, expires, spent, family,
	session, claims, acr FROM codes WHERE hash = $1`)

// Code finds an authorization code, spent or expired ones too.
func (s *Store) Code(ctx context.Context, hash Hash) (Code, error) {
	return one(ctx, s, "code", selectCode, func(row scanner) (Code, error) {
		var c Code
		var h []byte
		var scopes, amr string
		var authTime, expires, spent int64
		err := row.Scan(&h, &c.Client, &c.Account, &c.Source, &c.RedirectURI, &scopes, &amr, &c.Nonce, &c.Challenge,
			&authTime, &expires, &spent, &c.Family, &c.Session, &c.Claims, &c.ACR)
		copy(c.Hash[:], h)
		c.Scopes, c.AMR = list(scopes), list(amr)
		c.AuthTime, c.Expires, c.Spent = moment(authTime), moment(expires), moment(spent)
		return c, err
	}, hash[:])
}
