package feed_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// TestNodeThatCannotListenSaysSo, once, and once when it can. Until then it is half a
// second late, and seen as one that serves.
func TestNodeThatCannotListenSaysSo(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	others := startNode(t, url)
	name, as := postgrestest.Role(t, url)
	postgrestest.Exec(t, url, "ALTER ROLE "+name+" CONNECTION LIMIT 2; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "+name)
	n := startNode(t, postgrestest.With(as, "pool_max_conns", "1"))
	told := func() []string {
		n.mu.Lock()
		defer n.mu.Unlock()
		return slices.Clone(n.told)
	}
	n.within(patience, "it is told", func() bool { return len(told()) > 0 })
	if got := told(); !strings.HasPrefix(got[0], "notifications of other nodes do not arrive, ") || !strings.Contains(got[0], "too many connections for role") || strings.Contains(got[0], "\n") {
		t.Errorf("told %q", got)
	}
	others.revoke("t1")
	n.within(patience, "t1 revoked", n.knows("t1"))
	address, err := postgres.ParseAddress(url)
	if err != nil {
		t.Fatal(err)
	}
	if serving, err := address.Serving(t.Context()); err != nil || len(serving) != 2 {
		t.Errorf("%q serve, %v", serving, err)
	}
	postgrestest.Exec(t, url, "ALTER ROLE "+name+" CONNECTION LIMIT -1")
	n.within(patience, "that it is over is told", func() bool { return len(told()) > 1 })
	if got := told(); len(got) != 2 || got[1] != "notifications of other nodes arrive again" {
		t.Errorf("told %q", got)
	}
}
