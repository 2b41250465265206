package store

import "context"

// PutOpaque stores an opaque access token. One of a family is also what
// PutToken records, so that it is revoked like every other token of the family:
// there is no PutToken beside it. Conflict: the family is not alive, its account
// is not active, or the hash or the jti exists.
type PutOpaque struct{ Opaque Opaque }

var insertOpaque = writes(`
INSERT INTO opaque_tokens (hash, id, client, subject, account, family, scopes, audience, issued, expires, claims)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`)

func (w PutOpaque) apply(ctx context.Context, t *transaction) error {
	o := &w.Opaque
	if o.Family != "" || o.Account != "" {
		token := PutToken{Token: Token{ID: o.ID, Family: o.Family, Expires: o.Expires}}
		if err := token.apply(ctx, t); err != nil {
			return err
		}
	}
	return t.must(ctx, insertOpaque, o.Hash[:], o.ID, o.Client, o.Subject, o.Account, o.Family,
		words(o.Scopes), words(o.Audience), millis(o.Issued), millis(o.Expires), o.Claims)
}

var selectOpaque = reads(`
SELECT hash, id, client, subject, account, family, scopes, audience, issued, expires, claims FROM opaque_tokens WHERE hash = $1`)

// Opaque finds an opaque access token, an expired or revoked one too: whether
// it is revoked says its jti.
func (s *Store) Opaque(ctx context.Context, hash Hash) (Opaque, error) {
	return one(ctx, s, "opaque token", selectOpaque, func(row scanner) (Opaque, error) {
		var o Opaque
		var h []byte
		var scopes, audience string
		var issued, expires int64
		err := row.Scan(&h, &o.ID, &o.Client, &o.Subject, &o.Account, &o.Family, &scopes, &audience, &issued, &expires, &o.Claims)
		copy(o.Hash[:], h)
		o.Scopes, o.Audience = list(scopes), list(audience)
		o.Issued, o.Expires = moment(issued), moment(expires)
		return o, err
	}, hash[:])
}
