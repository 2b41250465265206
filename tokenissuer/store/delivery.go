package store

import (
	"context"
	"time"
)

// PutDelivery stores a message that is to be delivered. Conflict: the id exists.
type PutDelivery struct{ Delivery Delivery }

var insertDelivery = writes(`
INSERT INTO deliveries (id, client, uri, body, tries, next, expires)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`)

func (w PutDelivery) apply(ctx context.Context, t *transaction) error {
	d := &w.Delivery
	return t.must(ctx, insertDelivery, d.ID, d.Client, d.URI, d.Body, d.Tries, millis(d.Next), millis(d.Expires))
}

// RetryDelivery puts the next try of a delivery off and counts one. Whoever
// applies it before the try has the delivery to itself until Next. Conflict:
// gone, or Tries is not the count any more: another was first.
type RetryDelivery struct {
	ID    string
	Tries int // as it was read
	Next  time.Time
}

var retryDelivery = writes(`UPDATE deliveries SET tries = tries + 1, next = $3 WHERE id = $1 AND tries = $2`)

func (w RetryDelivery) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, retryDelivery, w.ID, w.Tries, millis(w.Next))
}

// RemoveDelivery forgets a message that arrived, or never will; an unknown one
// is no conflict.
type RemoveDelivery struct{ ID string }

var deleteDelivery = writes(`DELETE FROM deliveries WHERE id = $1`)

func (w RemoveDelivery) apply(ctx context.Context, t *transaction) error {
	return t.may(ctx, deleteDelivery, w.ID)
}

var selectDue = reads(`
SELECT id, client, uri, body, tries, next, expires FROM (
	SELECT n, id, client, uri, body, tries, next, expires, row_number() OVER (PARTITION BY client ORDER BY next, n) AS place
	FROM deliveries WHERE next <= $1 AND expires > $1) AS due
WHERE place <= $2 ORDER BY next, n`)

// DueDeliveries lists the messages whose time has come, up to most of each
// client so that one client's backlog hides nobody else's, the longest due first.
func (s *Store) DueDeliveries(ctx context.Context, now time.Time, most int) ([]Delivery, error) {
	return all(ctx, s, "deliveries", selectDue, func(row scanner) (Delivery, error) {
		var d Delivery
		var next, expires int64
		err := row.Scan(&d.ID, &d.Client, &d.URI, &d.Body, &d.Tries, &next, &expires)
		d.Next, d.Expires = moment(next), moment(expires)
		return d, err
	}, millis(now), most)
}
