package store

import (
	"context"
	"time"
)

// SignIns are the living sign-ins of an account that are of one client and have the same
// scopes.
type SignIns struct {
	Client string
	Scopes []string
	Last   time.Time // when the newest began
}

// There may be a million of them: the database adds them up, and who asks holds as many
// as a person can tell apart.
var selectSignInsOf = reads(`SELECT client, scopes, MAX(created) FROM families
WHERE account = $1 AND revoked = 0 AND expires + 0 > $2 GROUP BY client, scopes ORDER BY client, scopes`)

// SignInsOf adds up the living sign-ins of an account, in the order of the clients' ids.
func (s *Store) SignInsOf(ctx context.Context, now time.Time, account string) ([]SignIns, error) {
	return all(ctx, s, "sign-ins", selectSignInsOf, func(row scanner) (SignIns, error) {
		var v SignIns
		var scopes string
		var last int64
		err := row.Scan(&v.Client, &scopes, &last)
		v.Scopes, v.Last = list(scopes), moment(last)
		return v, err
	}, account, millis(now))
}
