// Package postgrestest gives tests a real PostgreSQL.
//
// One that all tests of a binary share is started when the first asks for a
// database, or is the one that DATABASE_URL names. A test that stops or kills a
// server starts one of its own. Nothing here runs in the product.
package postgrestest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// shared is the server of this test binary.
var shared struct {
	sync.Mutex
	server *Server
	err    error // of its start, which is tried once
}

// Main runs the tests and then stops the shared server. TestMain exits with
// what it returns. A binary without it leaves the server to the kernel, which
// ends it with the tests, and its folder to whoever cleans up.
func Main(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		shared.server.End()
	}
	return code
}

// URL is the address of a new, empty database, which goes with the test.
func URL(tb testing.TB) string {
	tb.Helper()
	shared.Lock()
	if shared.server == nil && shared.err == nil {
		if given := os.Getenv("DATABASE_URL"); given != "" {
			shared.server = &Server{admin: given}
		} else {
			shared.server, shared.err = Begin()
		}
	}
	s, err := shared.server, shared.err
	shared.Unlock()
	if err != nil {
		tb.Fatal(err)
	}
	return s.Database(tb)
}

// Start starts a server for this test alone, which may stop or kill it.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := Begin()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.End)
	return s
}

// Database makes an empty database and returns its address. It goes with the
// test, whoever is still connected.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name := "t" + strings.ToLower(rand.Text()[:12])
	s.admins(tb, "CREATE DATABASE "+name)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if s.folder == "" || s.Running() { // with a server of our own everything goes
			_ = s.exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		}
	})
	u, err := url.Parse(s.admin)
	if err != nil {
		tb.Fatal("DATABASE_URL is not a URL") // what it is may be a password
	}
	u.Path = "/" + name
	return u.String()
}

// With is an address with one more parameter.
func With(address, key, value string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic("an address of this package is a URL")
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// Terminate ends the server's side of every connection to a database, as
// pg_terminate_backend does; of those of one application where its name is given.
// It returns how many there were.
func Terminate(tb testing.TB, address, application string) (ended int) {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), address)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	err = conn.QueryRow(tb.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND ($1 = '' OR application_name = $1)`, application).Scan(&ended)
	if err != nil {
		tb.Fatal(err)
	}
	return ended
}

// Exec runs SQL in a database, as an operator does; in a Cleanup, too.
func Exec(tb testing.TB, address, sql string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		tb.Fatal(err)
	}
	_, err = conn.Exec(ctx, sql)
	if err := errors.Join(err, conn.Close(context.Background())); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// Ask is the answer to a question that has one, as text.
func Ask(tb testing.TB, address, sql string) (answer string) {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), address)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(tb.Context(), `SELECT CAST(x AS TEXT) FROM (`+sql+`) AS t (x)`).Scan(&answer); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return answer
}

func (s *Server) admins(tb testing.TB, sql string) {
	tb.Helper()
	if err := s.exec(tb.Context(), sql); err != nil {
		tb.Fatal(err)
	}
}

func (s *Server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}
