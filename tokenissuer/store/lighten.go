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

// lighten ends what would be too much for the transaction of writes, unless that would
// be refused. Who dies or fails in the middle, or is refused after all because somebody
// else was first while it took its time, has ended sign-ins or tokens that were to end,
// and nothing else; the next try goes on. Clients are told by what tells them of the
// rest: told is of what.
func (s *Store) lighten(ctx context.Context, now time.Time, writes []Write) (told map[ending]bool, err error) {
	for _, w := range writes {
		b, ok := w.(bulk)
		if !ok {
			continue
		}
		for _, l := range b.living(millis(now)) {
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
		if _, heavy := w.(bulk); !heavy {
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
		ids, err := s.look(ctx, l)
		if err != nil {
			return err
		}
		if len(ids) <= l.most {
			return nil
		}
		if look == 0 {
			if err := s.rehearse(ctx, now, writes); err != nil {
				return err
			}
		}
		for chunk := range slices.Chunk(ids, l.most) {
			if err := ctx.Err(); err != nil { // whoever asked has gone, and may ask again
				return failure("applying", err)
			}
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

// look finds what is to end.
func (s *Store) look(ctx context.Context, l living) ([]string, error) {
	scan := l.scan
	if scan == nil {
		scan = scanText
	}
	ids, err := all(ctx, s, "what is to end", l.of, scan, append(slices.Clone(l.args), listed)...)
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" }), err
}

func scanText(row scanner) (text string, err error) {
	err = row.Scan(&text)
	return text, err
}

// places are $from and the n-1 behind it, for a list that every database can read.
func places(from, n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprint("$", from+i))
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// inPlaces fills a list up to n with its last: to name one twice changes nothing.
func inPlaces(n int, ids []string, before ...any) []any {
	for i := range n {
		before = append(before, ids[min(i, len(ids)-1)])
	}
	return before
}
