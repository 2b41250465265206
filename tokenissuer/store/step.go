package store

import "context"

// endFamilies ends some sign-ins, with their tokens.
type endFamilies struct {
	account string // that has them all, or ""
	ids     []string
}

var (
	endTheseFamilies = writes(`
UPDATE families SET revoked = $1 WHERE id IN ` + places(2, inOneEnd) + ` AND revoked = 0 RETURNING session, client, expires`)

	revokeTheseFamilies = writes(`
INSERT INTO revoked_tokens (id, expires)
SELECT t.id, t.expires FROM families f JOIN tokens t ON t.family = f.n WHERE f.id IN ` + places(2, inOneEnd) + ` AND t.expires + 0 > $1
ON CONFLICT (id) DO NOTHING RETURNING id, expires`)
)

func (w endFamilies) apply(ctx context.Context, t *transaction) error {
	// The account, then its families, as everybody takes them.
	if err := t.hold(ctx, holdAccount, w.account); err != nil {
		return err
	}
	if err := t.end(ctx, endTheseFamilies, inPlaces(inOneEnd, w.ids, t.now)...); err != nil {
		return err
	}
	return t.revoke(ctx, revokeTheseFamilies, inPlaces(inOneEnd, w.ids, t.now)...)
}

// inOneRefusal is how many tokens one transaction refuses whose sign-ins go on: a row
// for other processes has as many.
const inOneRefusal = inOneRow

// refuseTokens refuses some tokens of an account. Their sign-ins go on.
type refuseTokens struct {
	account string
	ids     []string
}

var refuseTheseTokens = writes(`
INSERT INTO revoked_tokens (id, expires)
SELECT id, expires FROM tokens WHERE id IN ` + places(2, inOneRefusal) + ` AND expires + 0 > $1
ON CONFLICT (id) DO NOTHING RETURNING id, expires`)

func (w refuseTokens) apply(ctx context.Context, t *transaction) error {
	// Two that refuse the same tokens come after one another.
	if err := t.hold(ctx, holdAccount, w.account); err != nil {
		return err
	}
	return t.revoke(ctx, refuseTheseTokens, inPlaces(inOneRefusal, w.ids, t.now)...)
}

// endSessions ends some browser sessions of an account, without their sign-ins.
type endSessions struct {
	account string
	ids     []string
}

var (
	rememberingThese = writes(`
SELECT s.id, c.client, s.expires FROM session_clients c JOIN sessions s ON s.n = c.session WHERE s.id IN ` + places(1, inOneEnd))

	endTheseSessions = writes(`DELETE FROM sessions WHERE id IN ` + places(1, inOneEnd))
)

func (w endSessions) apply(ctx context.Context, t *transaction) error {
	if err := t.hold(ctx, holdAccount, w.account); err != nil {
		return err
	}
	if err := t.end(ctx, rememberingThese, inPlaces(inOneEnd, w.ids)...); err != nil {
		return err
	}
	return t.may(ctx, endTheseSessions, inPlaces(inOneEnd, w.ids)...)
}

// forgetIn has some browser sessions of an account forget a client.
type forgetIn struct {
	account, client string
	ids             []string
}

var (
	rememberingClient = writes(`
SELECT s.id, c.client, s.expires FROM session_clients c JOIN sessions s ON s.n = c.session
WHERE c.client = $1 AND s.id IN ` + places(2, inOneEnd))

	forgetClientIn = writes(`
DELETE FROM session_clients WHERE client = $1 AND session IN (SELECT n FROM sessions WHERE id IN ` + places(2, inOneEnd) + `)`)
)

func (w forgetIn) apply(ctx context.Context, t *transaction) error {
	if err := t.hold(ctx, holdAccount, w.account); err != nil {
		return err
	}
	if err := t.end(ctx, rememberingClient, inPlaces(inOneEnd, w.ids, w.client)...); err != nil {
		return err
	}
	return t.may(ctx, forgetClientIn, inPlaces(inOneEnd, w.ids, w.client)...)
}
