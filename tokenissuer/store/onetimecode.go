package store

import "context"

// PutOneTimeCode stores a code that is about to be sent.
type PutOneTimeCode struct{ Code OneTimeCode }

var insertOneTimeCode = writes(`
INSERT INTO one_time_codes (hash, code_hash, client, source, usage, kind, destination, failures, code_expires, expires, sent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`)

func (w PutOneTimeCode) apply(ctx context.Context, t *transaction) error {
	c := &w.Code
	return t.must(ctx, insertOneTimeCode, c.Hash[:], c.CodeHash[:], c.Client, c.Source, c.Usage, string(c.Kind), c.Destination,
		c.Failures, millis(c.CodeExpires), millis(c.Expires), flag(c.Sent))
}

// FailOneTimeCode counts a wrong try. Conflict: unknown, expired, or Most
// tries were counted before.
type FailOneTimeCode struct {
	Hash Hash
	Most int
}

var failOneTimeCode = writes(`
UPDATE one_time_codes SET failures = failures + 1 WHERE hash = $1 AND expires > $2 AND failures < $3`)

func (w FailOneTimeCode) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, failOneTimeCode, w.Hash[:], t.now, w.Most)
}

// SpendOneTimeCode uses a code up. Conflict: unknown, never sent, expired, or
// Most wrong tries were counted.
type SpendOneTimeCode struct {
	Hash Hash
	Most int
}

var spendOneTimeCode = writes(`
DELETE FROM one_time_codes WHERE hash = $1 AND expires > $2 AND code_expires > $2 AND failures < $3 AND sent = 1`)

func (w SpendOneTimeCode) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, spendOneTimeCode, w.Hash[:], t.now, w.Most)
}

// RemoveOneTimeCode forgets a code that could not be sent, or makes room for the
// next one; an unknown one is no conflict.
type RemoveOneTimeCode struct{ Hash Hash }

var deleteOneTimeCode = writes(`DELETE FROM one_time_codes WHERE hash = $1`)

func (w RemoveOneTimeCode) apply(ctx context.Context, t *transaction) error {
	return t.may(ctx, deleteOneTimeCode, w.Hash[:])
}

var selectOneTimeCode = reads(`
SELECT hash, code_hash, client, source, usage, kind, destination, failures, code_expires, expires, sent
FROM one_time_codes WHERE hash = $1`)

// OneTimeCode finds a sent code by its token, an expired one too.
func (s *Store) OneTimeCode(ctx context.Context, hash Hash) (OneTimeCode, error) {
	return one(ctx, s, "one-time code", selectOneTimeCode, func(row scanner) (OneTimeCode, error) {
		var c OneTimeCode
		var h, code []byte
		var codeExpires, expires, sent int64
		err := row.Scan(&h, &code, &c.Client, &c.Source, &c.Usage, &c.Kind, &c.Destination, &c.Failures, &codeExpires, &expires, &sent)
		copy(c.Hash[:], h)
		copy(c.CodeHash[:], code)
		c.CodeExpires, c.Expires, c.Sent = moment(codeExpires), moment(expires), sent != 0
		return c, err
	}, hash[:])
}
