package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// A connection that says nothing for so long is asked whether it is there: a cut
// line is noticed by nobody else.
const silenceMost = 30 * time.Second

// listen waits for the notifications of other processes' commits, on a connection
// of its own, until that ends. It wakes first for what came before.
func (a *Address) listen(ctx context.Context, wake func()) error {
	if err := a.hear(ctx, wake); err != nil {
		return onOneLine{err}
	}
	return nil
}

func (a *Address) hear(ctx context.Context, wake func()) error {
	config := a.way.Load().connection(map[string]string{"application_name": application + " listener"})
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(late)
	}()
	var channel string
	if err := conn.QueryRow(ctx, `SELECT `+store.Channel).Scan(&channel); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `LISTEN `+pgx.Identifier{channel}.Sanitize()); err != nil {
		return err
	}
	wake() // for what came while nobody listened
	for {
		if err := awaitOne(ctx, conn); err != nil {
			return err
		}
		wake()
	}
}

// awaitOne waits for a notification, or makes sure that one could come.
func awaitOne(ctx context.Context, conn *pgx.Conn) error {
	quiet, cancel := context.WithTimeout(ctx, silenceMost)
	defer cancel()
	_, err := conn.WaitForNotification(quiet)
	if err == nil || quiet.Err() == nil || ctx.Err() != nil {
		return err
	}
	late, done := context.WithTimeout(ctx, connectMost)
	defer done()
	return conn.Ping(late)
}
