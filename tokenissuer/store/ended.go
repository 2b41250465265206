package store

import "context"

// TellEnded stores a message to each client about each browser session that the
// RevokeAccount and RevokeClientOf before it in the same Apply have taken from it:
// one whose sign-in went on, and one that still remembers the client. What is told
// is what has ended, for no look at it comes before. Message says what to store,
// or false for a client that is not told; it may be asked more than once.
type TellEnded struct {
	Message func(session, client string) (Delivery, bool)
}

func (w TellEnded) apply(ctx context.Context, t *transaction) error {
	for _, e := range t.ended {
		d, tell := w.Message(e.session, e.client)
		if !tell {
			continue
		}
		if err := (PutDelivery{Delivery: d}).apply(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// ending is what a client had in a browser session.
type ending struct{ session, client string }

// A session that is over, and not swept yet, remembers nobody.
var remembering = writes(`
SELECT s.id, c.client, s.expires FROM session_clients c JOIN sessions s ON s.n = c.session
WHERE s.account = $1 AND ($2 = '' OR c.client = $2)`)

// end runs a write that returns what it ended, or is about to: session, client
// and expiry. What is over for its age was over before.
func (t *transaction) end(ctx context.Context, w write, args ...any) error {
	rows, err := t.query(ctx, w, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var e ending
		var expires int64
		if err := rows.Scan(&e.session, &e.client, &expires); err != nil {
			return err
		}
		if e.session == "" || expires <= t.now || t.told[e] || t.seen[e] {
			continue
		}
		if t.seen == nil {
			t.seen = map[ending]bool{}
		}
		t.ended, t.seen[e] = append(t.ended, e), true
	}
	return rows.Err()
}
