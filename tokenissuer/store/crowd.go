package store

import (
	"context"
	"errors"
	"time"
)

// tokensOfFamily is how many unexpired access tokens a sign-in has. To revoke them
// all is one transaction.
const tokensOfFamily = 1000

// Crowded is the ErrConflict of a family with as many access tokens as it may have,
// and of a session in which a client has made as many sign-ins give way.
type Crowded struct{ Until time.Time } // when there is room again

func (*Crowded) Error() string { return "too many access tokens of this sign-in or session" }

// Is makes it an ErrConflict.
func (*Crowded) Is(target error) bool { return errors.Is(target, ErrConflict) }

// PutToken records an access token of a family. Conflict: the family is not
// alive, or its account is not active, or the family is Crowded.
type PutToken struct{ Token Token }

var (
	insertToken = writes(`
INSERT INTO tokens (id, family, expires)
SELECT $3, f.n, $4 ` + alive + `
AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.family = f.n AND t.expires + 0 > $2 LIMIT 1 OFFSET $5)
/*[ FOR SHARE OF f ]*/ ON CONFLICT DO NOTHING`)

	crowd = writes(`
SELECT count(*), coalesce(min(t.expires), 0) FROM families f JOIN tokens t ON t.family = f.n WHERE f.id = $1 AND t.expires + 0 > $2`)
)

func (w PutToken) apply(ctx context.Context, t *transaction) error {
	n, err := t.exec(ctx, insertToken, w.Token.Family, t.now, w.Token.ID, millis(w.Token.Expires), tokensOfFamily-1)
	if err != nil || n > 0 {
		return err
	}
	var count int
	var first int64
	if err := t.queryRow(ctx, crowd, w.Token.Family, t.now).Scan(&count, &first); err != nil {
		return err
	}
	if count >= tokensOfFamily {
		return &Crowded{Until: moment(first)}
	}
	return ErrConflict
}
