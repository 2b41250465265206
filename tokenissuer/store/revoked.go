package store

import (
	"context"
	"time"
)

func scanRevokedClient(row scanner) (Revocation, error) {
	var r Revocation
	var notBefore, expires int64
	err := row.Scan(&r.Client, &notBefore, &expires)
	r.NotBefore, r.Expires = moment(notBefore), moment(expires)
	return r, err
}

// revokedOnce is how many revoked tokens one statement reads. They may be millions: of
// each statement a database has its patience, and so have we.
const revokedOnce = 10_000

var (
	// By the row numbers alone, whatever has expired: a statement that had to find what is
	// live could have to look at all of them.
	selectRevokedTokens  = readsApart(`SELECT n, id, expires FROM revoked_tokens WHERE n > $1 ORDER BY n LIMIT $2`)
	selectRevokedClients = readsApart(`SELECT id, not_before, expires FROM revoked_clients WHERE expires > $1`)
)

// numberedRevocation is one with its row number.
type numberedRevocation struct {
	n int64
	Revocation
}

func scanNumberedRevocation(row scanner) (r numberedRevocation, err error) {
	var expires int64
	err = row.Scan(&r.n, &r.Token, &expires)
	r.Expires = moment(expires)
	return r, err
}

// Revocations hands over everything that must be refused at now and later, in parts.
// What is revoked meanwhile may be in none of them: who needs that follows first.
func (s *Store) Revocations(ctx context.Context, now time.Time, take func([]Revocation)) error {
	for after, more := int64(0), true; more; {
		read, err := all(ctx, s, "revoked tokens", selectRevokedTokens, scanNumberedRevocation, after, revokedOnce)
		if err != nil {
			return err
		}
		if more = len(read) == revokedOnce; more {
			after = read[revokedOnce-1].n
		}
		live := make([]Revocation, 0, len(read))
		for _, r := range read {
			if r.Expires.After(now) {
				live = append(live, r.Revocation)
			}
		}
		take(live)
	}
	clients, err := all(ctx, s, "revoked clients", selectRevokedClients, scanRevokedClient, millis(now))
	if err != nil {
		return err
	}
	take(clients)
	return nil
}
