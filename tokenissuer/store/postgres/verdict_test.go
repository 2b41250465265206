package postgres

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

func TestVerdicts(t *testing.T) {
	answered := func(code string) error { return fmt.Errorf("applying: %w", &pgconn.PgError{Code: code}) }
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := refused.Close(); err != nil {
		t.Fatal(err)
	}
	_, unreachable := pgx.Connect(t.Context(), "postgres://app@"+refused.Addr().String()+"/x?sslmode=disable")
	if unreachable == nil {
		t.Fatal("somebody answers on a port that is closed")
	}
	plain := postgrestest.With(postgrestest.URL(t), "sslmode", "require")
	_, unsealed := pgx.Connect(t.Context(), plain)
	_, unknown := pgx.Connect(t.Context(), "postgres://app@nowhere.invalid/x")
	for _, c := range []struct {
		what string
		err  error
		want store.Verdict
	}{
		{"a unique value", answered("23505"), store.Taken},
		{"a zero byte", answered("22021"), store.Unfit},
		{"a serialization failure", answered("40001"), store.Undone},
		{"a deadlock", answered("40P01"), store.Undone},
		{"a commit that nobody knows of", answered("40003"), store.Failed},
		{"a lock that was not to be had", answered("55P03"), store.Held},
		{"a statement that took too long", answered("57014"), store.Failed},
		{"a full disk", answered("53100"), store.Failed},
		{"a wrong password", answered("28P01"), store.Failed},
		{"a server that stops", answered("57P01"), store.Lost},
		{"a server that starts", answered("57P03"), store.Lost},
		{"a server that became a standby", answered("25006"), store.Lost},
		{"a server with no room for the moment", answered("53300"), store.Lost},
		{"a connection that failed", answered("08006"), store.Lost},
		{"a server without TLS", unsealed, store.Failed},
		{"a name that is not known, or not yet", unknown, store.Lost},
		{"a closed port", unreachable, store.Lost},
		{"a connection that was ended", fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), store.Lost},
		{"a connection that was reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, store.Lost},
		{"a connection of the pool that is dead", driver.ErrBadConn, store.Lost},
		{"a certificate of nobody we know", fmt.Errorf("dialing: %w", &tls.CertificateVerificationError{Err: errors.New("x")}), store.Failed},
		{"a request that ended", context.Canceled, store.Failed},
		{"a deadline of ours", fmt.Errorf("timeout: %w", context.DeadlineExceeded), store.Failed},
		{"something else", errors.New("x"), store.Failed},
	} {
		if got := judge(c.err); got != c.want {
			t.Errorf("%s is %d, want %d", c.what, got, c.want)
		}
	}
}
