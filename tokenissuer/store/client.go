package store

import "context"

// PutClient stores or replaces a client; its generation grows by one.
type PutClient struct{ Client Client }

// A new client's generation begins at the clock: one that is removed and
// registered again never meets a decision that was cached for the first.
var upsertClient = writes(`
INSERT INTO clients (id, record, generation, updated) VALUES ($1, $2, $3, $3)
ON CONFLICT (id) DO UPDATE SET record = excluded.record, generation = clients.generation + 1, updated = excluded.updated`)

func (w PutClient) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, upsertClient, w.Client.ID, w.Client.Record, t.now)
}

// RemoveClient deletes a client, and what people let it have: another may be
// registered under its name. Conflict: gone.
type RemoveClient struct{ ID string }

var (
	deleteClient           = writes(`DELETE FROM clients WHERE id = $1`)
	deleteConsentsOfClient = writes(`DELETE FROM consents WHERE client = $1`)
)

func (w RemoveClient) apply(ctx context.Context, t *transaction) error {
	if err := t.may(ctx, deleteConsentsOfClient, w.ID); err != nil {
		return err
	}
	return t.must(ctx, deleteClient, w.ID)
}

func scanClient(row scanner) (Client, error) {
	var c Client
	var updated int64
	err := row.Scan(&c.ID, &c.Record, &c.Generation, &updated)
	c.Updated = moment(updated)
	return c, err
}

var (
	selectClient  = reads(`SELECT id, record, generation, updated FROM clients WHERE id = $1`)
	selectClients = reads(`SELECT id, record, generation, updated FROM clients WHERE id > $1 ORDER BY id LIMIT $2`)
)

// Client finds a registered client.
func (s *Store) Client(ctx context.Context, id string) (Client, error) {
	return one(ctx, s, "client", selectClient, scanClient, id)
}

// Clients lists up to limit clients in the order of their ids, those behind
// after; "" begins.
func (s *Store) Clients(ctx context.Context, after string, limit int) ([]Client, error) {
	return all(ctx, s, "clients", selectClients, scanClient, after, limit)
}
