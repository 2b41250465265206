package store

import (
	"context"
	"time"
)

// PutEvent records an event.
type PutEvent struct{ Event Event }

var insertEvent = writes(`INSERT INTO events (at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5)`)

func (w PutEvent) apply(ctx context.Context, t *transaction) error {
	e := &w.Event
	return t.must(ctx, insertEvent, millis(e.At), e.Actor, e.Action, e.Subject, e.Detail)
}

// keepEvents is how long an event is kept: a year and the time to read it.
const keepEvents = 400 * 24 * time.Hour

var selectEvents = reads(`
SELECT at, actor, action, subject, detail FROM events WHERE at >= $1 ORDER BY at DESC, n DESC LIMIT $2`)

// Events lists up to limit events since a time, the newest first.
func (s *Store) Events(ctx context.Context, since time.Time, limit int) ([]Event, error) {
	return all(ctx, s, "events", selectEvents, func(row scanner) (Event, error) {
		var e Event
		var at int64
		err := row.Scan(&at, &e.Actor, &e.Action, &e.Subject, &e.Detail)
		e.At = moment(at)
		return e, err
	}, millis(since), limit)
}
