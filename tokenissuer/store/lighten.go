package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A sign-in is ended with its tokens, and an account with its sign-ins. People have a
// few; a program that signs in for each of its calls has a hundred thousand, and so
// has somebody who wants an account that nobody can freeze: to end them all at once
// would take longer than a statement may. So what is too much for one transaction is
// ended before it, in small ones that are whole by themselves.
const (
	// inOneEnd is how many sign-ins, or sessions, one transaction ends.
	inOneEnd = 100

	// listed is how many are looked for at once. Those that are over are passed by with
	// each look.
	listed = 50_000

	// mostLooks bounds it where somebody signs in as fast as is ended here.
	mostLooks = 1000
)

// bulk is a write that may have more to end than one transaction should.
type bulk interface {
	living() []living
}

// living is a look-up of the ids that such a write would end, the newest first: they
// have the tokens that are good for longest.
type living struct {
	of   read
	args []any
	end  func(ids []string) Write // ends inOneEnd of them, or fewer
}

// What goes by the row numbers alone would be found by reading the sign-ins of
// everybody: n + 0 is in no index.
var (
	livingOfAccount  = reads(`SELECT id FROM families WHERE account = $1 AND revoked = 0 ORDER BY n + 0 DESC LIMIT $2`)
	livingOfClientOf = reads(`SELECT id FROM families WHERE account = $1 AND client = $2 AND revoked = 0 ORDER BY n + 0 DESC LIMIT $3`)
	livingOfClient   = reads(`SELECT id FROM families WHERE client = $1 AND revoked = 0 ORDER BY n + 0 DESC LIMIT $2`)
	livingOfSession  = reads(`SELECT id FROM families WHERE session = $1 AND session <> '' AND revoked = 0 ORDER BY n + 0 DESC LIMIT $2`)
	sessionsOf       = reads(`SELECT id FROM sessions WHERE account = $1 ORDER BY n + 0 DESC LIMIT $2`)
)

func (w RevokeAccount) living() []living {
	return []living{
		{sessionsOf, []any{w.Account}, func(ids []string) Write { return endSessions{w.Account, ids} }},
		{livingOfAccount, []any{w.Account}, func(ids []string) Write { return endFamilies{w.Account, ids} }},
	}
}

func (w RevokeClientOf) living() []living {
	return []living{{livingOfClientOf, []any{w.Account, w.Client}, func(ids []string) Write { return endFamilies{w.Account, ids} }}}
}

func (w RevokeClient) living() []living {
	return []living{{livingOfClient, []any{w.Client}, func(ids []string) Write { return endFamilies{"", ids} }}}
}

func (w RevokeSession) living() []living {
	if !w.All {
		return nil // each client has a known most, and they come after one another
	}
	return []living{{livingOfSession, []any{w.ID}, func(ids []string) Write { return endFamilies{"", ids} }}}
}

// lighten ends what would be too much for the transaction of writes, unless that would
// be refused. Who dies or fails in the middle, or is refused after all because somebody
// else was first while it took its time, has ended sign-ins that were to end, and nothing
// else; the next try goes on. Clients are told by what tells them of the rest:
// told is of what.
func (s *Store) lighten(ctx context.Context, now time.Time, writes []Write) (told map[ending]bool, err error) {
	for _, w := range writes {
		b, ok := w.(bulk)
		if !ok {
			continue
		}
		for _, l := range b.living() {
			if told == nil {
				told = map[ending]bool{}
			}
			if err := s.endMost(ctx, now, l, writes, told); err != nil {
				return nil, err
			}
		}
	}
	return told, nil
}

// errWould is the end of a rehearsal: nothing is in the way, and nothing has happened.
var errWould = fmt.Errorf("%w: it was to be undone", ErrConflict)

// undone is the last write of what is to be undone.
type undone struct{}

func (undone) apply(context.Context, *transaction) error { return errWould }

// rehearse tells whether writes would be refused, but for those that end very much and
// have no condition. Who gives a wrong password must not sign an account out.
func (s *Store) rehearse(ctx context.Context, now time.Time, writes []Write) error {
	var light []Write
	for _, w := range writes {
		if b, ok := w.(bulk); !ok || len(b.living()) == 0 {
			light = append(light, w)
		}
	}
	err := s.apply(ctx, &application{now: now, writes: append(light, undone{}), err: errAborted})
	if errors.Is(err, errWould) {
		return nil
	}
	return err
}

// telling is what of writes tells the clients.
func telling(writes []Write) (tell []Write) {
	for _, w := range writes {
		if t, ok := w.(TellEnded); ok {
			tell = append(tell, t)
		}
	}
	return tell
}

// endMost leaves what one transaction can end.
func (s *Store) endMost(ctx context.Context, now time.Time, l living, writes []Write, told map[ending]bool) error {
	tell := telling(writes)
	// A moment earlier, so that the last transaction knows its own from these.
	earlier := now.Add(-time.Millisecond)
	for look := range mostLooks {
		ids, err := all(ctx, s, "what is to end", l.of, scanText, append(slices.Clone(l.args), listed)...)
		if err != nil {
			return err
		}
		if len(ids) <= inOneEnd {
			return nil
		}
		if look == 0 {
			if err := s.rehearse(ctx, now, writes); err != nil {
				return err
			}
		}
		for chunk := range slices.Chunk(ids, inOneEnd) {
			a := &application{now: earlier, writes: append([]Write{l.end(chunk)}, tell...), told: told, err: errAborted}
			if err := s.apply(ctx, a); err != nil {
				return err
			}
			for _, e := range a.ended {
				told[e] = true
			}
		}
	}
	return nil
}

func scanText(row scanner) (text string, err error) {
	err = row.Scan(&text)
	return text, err
}

// places are $from and those behind it, for a list that every database can read.
func places(from int) string {
	var list []string
	for i := range inOneEnd {
		list = append(list, fmt.Sprint("$", from+i))
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// inPlaces fills a list up with its last: to name one twice changes nothing.
func inPlaces(ids []string, before ...any) []any {
	for i := range inOneEnd {
		before = append(before, ids[min(i, len(ids)-1)])
	}
	return before
}

// endFamilies ends some sign-ins, with their tokens.
type endFamilies struct {
	account string // that has them all, or ""
	ids     []string
}

var (
	endTheseFamilies = writes(`
UPDATE families SET revoked = $1 WHERE id IN ` + places(2) + ` AND revoked = 0 RETURNING session, client, expires`)

	revokeTheseFamilies = writes(`
INSERT INTO revoked_tokens (id, expires)
SELECT t.id, t.expires FROM families f JOIN tokens t ON t.family = f.n WHERE f.id IN ` + places(2) + ` AND t.expires + 0 > $1
ON CONFLICT (id) DO NOTHING RETURNING id, expires`)
)

func (w endFamilies) apply(ctx context.Context, t *transaction) error {
	// The account, then its families, as everybody takes them.
	if err := t.hold(ctx, holdAccount, w.account); err != nil {
		return err
	}
	if err := t.end(ctx, endTheseFamilies, inPlaces(w.ids, t.now)...); err != nil {
		return err
	}
	return t.revoke(ctx, revokeTheseFamilies, inPlaces(w.ids, t.now)...)
}

// endSessions ends some browser sessions of an account, without their sign-ins.
type endSessions struct {
	account string
	ids     []string
}

var (
	rememberingThese = writes(`
SELECT s.id, c.client, s.expires FROM session_clients c JOIN sessions s ON s.n = c.session WHERE s.id IN ` + places(1))

	endTheseSessions = writes(`DELETE FROM sessions WHERE id IN ` + places(1))
)

func (w endSessions) apply(ctx context.Context, t *transaction) error {
	if err := t.hold(ctx, holdAccount, w.account); err != nil {
		return err
	}
	if err := t.end(ctx, rememberingThese, inPlaces(w.ids)...); err != nil {
		return err
	}
	return t.may(ctx, endTheseSessions, inPlaces(w.ids)...)
}
