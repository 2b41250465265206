package store

import "slices"

// bulk is a write that may have more to end than one transaction should. It has no
// condition: whatever there is, is ended.
type bulk interface {
	living(now int64) []living
}

// living is a look-up of the ids that such a write would end. Its last argument is how
// many to list.
type living struct {
	of   read
	args []any
	scan func(scanner) (string, error) // "" for one that goes on; nil: the id is all there is
	most int                           // that one transaction ends
	end  func(ids []string) Write
}

// The newest sign-ins come first: they have the tokens that are good for longest. What
// goes by the row numbers alone would be found by reading the sign-ins of everybody:
// n + 0 is in no index. A client's tokens are refused by then, see RefuseClient, and to
// sort those of everybody for each look would be the longest part of it.
var (
	livingOfAccount   = reads(`SELECT id FROM families WHERE account = $1 AND revoked = 0 ORDER BY n + 0 DESC LIMIT $2`)
	livingOfClientOf  = reads(`SELECT id FROM families WHERE account = $1 AND client = $2 AND revoked = 0 ORDER BY n + 0 DESC LIMIT $3`)
	livingOfClient    = reads(`SELECT id FROM families WHERE client = $1 AND revoked = 0 LIMIT $2`)
	livingOfSession   = reads(`SELECT id, client FROM families WHERE session = $1 AND session <> '' AND revoked = 0 ORDER BY n + 0 DESC LIMIT $2`)
	livingOfItsTokens = reads(`SELECT t.id ` + goodTokensOf + ` LIMIT $3`)

	sessionsOf          = reads(`SELECT id FROM sessions WHERE account = $1 ORDER BY n + 0 DESC LIMIT $2`)
	sessionsRemembering = reads(`
SELECT s.id FROM sessions s JOIN session_clients c ON c.session = s.n WHERE s.account = $1 AND c.client = $2 LIMIT $3`)
)

func (w RevokeAccount) living(int64) []living {
	return []living{
		{of: sessionsOf, args: []any{w.Account}, most: inOneEnd, end: func(ids []string) Write { return endSessions{w.Account, ids} }},
		{of: livingOfAccount, args: []any{w.Account}, most: inOneEnd, end: func(ids []string) Write { return endFamilies{w.Account, ids} }},
	}
}

func (w RevokeClientOf) living(int64) []living {
	of := []any{w.Account, w.Client}
	return []living{
		{of: sessionsRemembering, args: of, most: inOneEnd, end: func(ids []string) Write { return forgetIn{w.Account, w.Client, ids} }},
		{of: livingOfClientOf, args: of, most: inOneEnd, end: func(ids []string) Write { return endFamilies{w.Account, ids} }},
	}
}

// The steps leave the sign-ins alone, and whoever comes with a refresh token meanwhile
// gets what the account has: until the last transaction that is what it had before, and
// then such a token is among those that it refuses.
func (w RevokeTokensOf) living(now int64) []living {
	return []living{{
		of: livingOfItsTokens, args: []any{w.Account, now}, most: inOneRefusal,
		end: func(ids []string) Write { return refuseTokens{w.Account, ids} },
	}}
}

func (w RevokeClient) living(int64) []living {
	return []living{{of: livingOfClient, args: []any{w.Client}, most: inOneEnd, end: func(ids []string) Write { return endFamilies{"", ids} }}}
}

// A client has a known most in a session, and clients are many.
func (w RevokeSession) living(int64) []living {
	ending := func(row scanner) (id string, err error) {
		var client string
		if err = row.Scan(&id, &client); !w.All && !slices.Contains(w.Clients, client) {
			id = ""
		}
		return id, err
	}
	return []living{{of: livingOfSession, args: []any{w.ID}, scan: ending, most: inOneEnd, end: func(ids []string) Write { return endFamilies{"", ids} }}}
}
