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

// RestClient has everybody leave a client alone until a time, with all that is to be
// delivered to it, and counts one failure. Whoever applies it before the try has the
// client to itself until then. Conflict: Failures is not the count any more: another
// was first, or it has heard.
type RestClient struct {
	Client   string
	Failures int // as it was read
	Until    time.Time
}

var (
	restFirst = writes(`INSERT INTO silent_clients (client, failures, until) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING`)
	restAgain = writes(`UPDATE silent_clients SET failures = failures + 1, until = $2 WHERE client = $1 AND failures = $3`)
)

func (w RestClient) apply(ctx context.Context, t *transaction) error {
	if w.Failures == 0 {
		return t.must(ctx, restFirst, w.Client, millis(w.Until))
	}
	return t.must(ctx, restAgain, w.Client, millis(w.Until), w.Failures)
}

// HearClient forgets the failures of a client: it has taken something. None is no
// conflict.
type HearClient struct{ Client string }

var hearClient = writes(`DELETE FROM silent_clients WHERE client = $1`)

func (w HearClient) apply(ctx context.Context, t *transaction) error {
	return t.may(ctx, hearClient, w.Client)
}

// keepSilent is how long the failures of a client count: as long as what it is told.
const keepSilent = 24 * time.Hour

// DueClient is one for whom something is due.
type DueClient struct {
	Client   string
	Failures int // since it took something
}

// A step of the index from client to client, and from each to the first that is due:
// what else is due for it is not looked at. A pair is compared as a whole, so there is
// one index that can serve it.
var selectDueClients = reads(`
WITH RECURSIVE known (client) AS (
	SELECT MIN(client) FROM deliveries
	UNION ALL
	SELECT (SELECT MIN(d.client) FROM deliveries d WHERE d.client > k.client) FROM known k WHERE k.client IS NOT NULL)
SELECT client, failures FROM (
	SELECT k.client, COALESCE(s.failures, 0) AS failures, COALESCE(s.until, 0) AS until, (
		SELECT d.next FROM deliveries d
		WHERE (d.client, d.next) >= (k.client, 0) AND (d.client, d.next) <= (k.client, $1) AND d.expires + 0 > $1
		ORDER BY d.client, d.next LIMIT 1) AS next
	FROM known k LEFT JOIN silent_clients s ON s.client = k.client
	WHERE k.client IS NOT NULL AND (s.until IS NULL OR s.until <= $1)) AS due
WHERE next IS NOT NULL ORDER BY failures > 0, CASE WHEN until > next THEN until ELSE next END, client`)

// DueClients lists the clients for whom a message's time has come, who has waited for
// it longest first; behind them those that did not take something, whose rest was over
// first before the others. Those that rest are not among them.
func (s *Store) DueClients(ctx context.Context, now time.Time) ([]DueClient, error) {
	return all(ctx, s, "deliveries", selectDueClients, func(row scanner) (c DueClient, err error) {
		err = row.Scan(&c.Client, &c.Failures)
		return c, err
	}, millis(now))
}

var selectDue = reads(`
SELECT id, client, uri, body, tries, next, expires FROM deliveries
WHERE (client, next) >= ($1, 0) AND (client, next) <= ($1, $2) AND expires + 0 > $2
ORDER BY client, next, n LIMIT $3`)

// DueDeliveries lists the messages to a client whose time has come, up to most of
// them, the longest due first.
func (s *Store) DueDeliveries(ctx context.Context, now time.Time, client string, most int) ([]Delivery, error) {
	return all(ctx, s, "deliveries", selectDue, func(row scanner) (Delivery, error) {
		var d Delivery
		var next, expires int64
		err := row.Scan(&d.ID, &d.Client, &d.URI, &d.Body, &d.Tries, &next, &expires)
		d.Next, d.Expires = moment(next), moment(expires)
		return d, err
	}, client, millis(now), most)
}
