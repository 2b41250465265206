package store

import "context"

// PutConsent adds scopes to what an account lets a client have. Conflict: the
// account is gone.
type PutConsent struct {
	Account string
	Client  string
	Scopes  []string
}

var upsertConsent = writes(`
INSERT INTO consents (account, client, scope, updated)
SELECT a.id, $2, $3, $4 FROM accounts a WHERE a.id = $1 /*[ FOR NO KEY UPDATE OF a ]*/
ON CONFLICT (account, client, scope) DO UPDATE SET updated = excluded.updated`)

func (w PutConsent) apply(ctx context.Context, t *transaction) error {
	scopes := w.Scopes
	if len(scopes) == 0 {
		scopes = []string{""} // to sign in and nothing more is a consent too
	}
	for _, scope := range scopes {
		if err := t.must(ctx, upsertConsent, w.Account, w.Client, scope, t.now); err != nil {
			return err
		}
	}
	return nil
}

// RequireConsent asks that an account still lets a client have these scopes, and
// changes nothing. Conflict: one of them was taken back.
type RequireConsent struct {
	Account string
	Client  string
	Scopes  []string
}

// An update that keeps the value, as for RequireUnspent.
var requireConsent = writes(`UPDATE consents SET updated = updated WHERE account = $1 AND client = $2 AND ($3 = '' OR scope = $3)`)

func (w RequireConsent) apply(ctx context.Context, t *transaction) error {
	if err := t.hold(ctx, holdAccount, w.Account); err != nil {
		return err
	}
	scopes := w.Scopes
	if len(scopes) == 0 {
		scopes = []string{""} // any consent is one to sign in
	}
	for _, scope := range scopes {
		if err := t.must(ctx, requireConsent, w.Account, w.Client, scope); err != nil {
			return err
		}
	}
	return nil
}

// RemoveConsent takes back all that an account lets a client have; nothing is
// no conflict. Sign-ins go on: see RevokeClientOf, which comes after in the same
// Apply.
type RemoveConsent struct{ Account, Client string }

var deleteConsent = writes(`DELETE FROM consents WHERE account = $1 AND client = $2`)

func (w RemoveConsent) apply(ctx context.Context, t *transaction) error {
	if err := t.hold(ctx, holdAccount, w.Account); err != nil {
		return err
	}
	return t.may(ctx, deleteConsent, w.Account, w.Client)
}

// scanConsent reads one row: a consent to one scope.
func scanConsent(row scanner) (Consent, error) {
	var c Consent
	var scope string
	var updated int64
	err := row.Scan(&c.Account, &c.Client, &scope, &updated)
	c.Scopes, c.Updated = list(scope), moment(updated)
	return c, err
}

// consented joins the rows of each client; they lie together.
func consented(rows []Consent) []Consent {
	var cs []Consent
	for _, r := range rows {
		if len(cs) == 0 || cs[len(cs)-1].Client != r.Client {
			cs = append(cs, r)
			continue
		}
		c := &cs[len(cs)-1]
		c.Scopes = append(c.Scopes, r.Scopes...)
		if r.Updated.After(c.Updated) {
			c.Updated = r.Updated
		}
	}
	return cs
}

var (
	selectConsent = reads(`
SELECT account, client, scope, updated FROM consents WHERE account = $1 AND client = $2 ORDER BY n`)

	selectConsentsOf = reads(`
SELECT account, client, scope, updated FROM consents WHERE account = $1 ORDER BY client, n`)
)

// Consent finds what an account lets a client have.
func (s *Store) Consent(ctx context.Context, account, client string) (Consent, error) {
	rows, err := all(ctx, s, "consent", selectConsent, scanConsent, account, client)
	if err != nil {
		return Consent{}, err
	}
	if len(rows) == 0 {
		return Consent{}, ErrNotFound
	}
	return consented(rows)[0], nil
}

// ConsentsOf lists what an account lets clients have, in the order of their
// ids.
func (s *Store) ConsentsOf(ctx context.Context, account string) ([]Consent, error) {
	rows, err := all(ctx, s, "consents", selectConsentsOf, scanConsent, account)
	return consented(rows), err
}
