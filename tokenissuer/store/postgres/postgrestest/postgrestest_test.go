package postgrestest_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

func ask(t *testing.T, address string) (answer string, err error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(t.Context()) }()
	err = conn.QueryRow(t.Context(), "SELECT current_database()").Scan(&answer)
	return answer, err
}

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	one, other := postgrestest.URL(t), postgrestest.URL(t)
	first, err := ask(t, one)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := ask(t, other); err != nil || first == second {
		t.Errorf("%q and %q, %v", first, second, err)
	}
}

func TestServerOfATestIsStoppedKilledAndStartedAgain(t *testing.T) {
	s := postgrestest.Start(t)
	address := s.Database(t)
	for name, end := range map[string]func(){"stopped": s.Stop, "killed": s.Kill} {
		postgrestest.Exec(t, address, "CREATE TABLE "+name+" ()")
		end()
		if got, err := ask(t, address); err == nil {
			t.Fatalf("%s, it answers %q", name, got)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		postgrestest.Exec(t, address, "DROP TABLE "+name)
	}
}

func TestTerminateEndsConnections(t *testing.T) {
	address := postgrestest.URL(t)
	conn, err := pgx.Connect(t.Context(), postgrestest.With(address, "application_name", "victim"))
	if err != nil {
		t.Fatal(err)
	}
	if n := postgrestest.Terminate(t, address, "somebody"); n != 0 {
		t.Errorf("%d connections of nobody", n)
	}
	if n := postgrestest.Terminate(t, address, "victim"); n != 1 {
		t.Errorf("%d connections ended, want 1", n)
	}
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the connection goes on")
	}
}
