package main

import (
	"net/url"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// databases is the key of a story's PostgreSQL.
type databases struct{}

// database is a PostgreSQL of the story's own:
//
//	database open     DATABASE_URL is its address, with the password "open sesame"
//	database stop     as its operator does, or `kill`, as a power cut does
//	database start    again
func database(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "database open|stop|kill|start")
	held := ts.Value(databases{}).(*struct{ *postgrestest.Server })
	switch args[0] {
	case "open":
		s, err := postgrestest.Begin()
		ts.Check(err)
		ts.Defer(s.End)
		held.Server = s
		address, err := url.Parse(s.Address())
		ts.Check(err)
		address.User = url.UserPassword(address.User.Username(), "open sesame")
		ts.Setenv("DATABASE_URL", address.String())
	case "stop":
		held.Stop()
	case "kill":
		held.Kill()
	case "start":
		ts.Check(held.Restart())
	default:
		ts.Fatalf("database %s: not a word of a story", args[0])
	}
}
