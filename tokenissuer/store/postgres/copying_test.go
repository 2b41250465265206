package postgres

import (
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// Whoever reads an export may rest for as long as it takes to type a passphrase, which to
// the system is a peer that acknowledges nothing. A request's connection is given up then.
func TestCopiesOutlastWhoPauses(t *testing.T) {
	t.Parallel()
	a := parsed(t, postgrestest.URL(t))
	for what, want := range map[string]string{"": "60000", copying: "0"} {
		db := a.open(what)
		var after string
		if err := db.QueryRow(`SHOW tcp_user_timeout`).Scan(&after); err != nil || after != want {
			t.Errorf("%q: %q, %v, want %q", what, after, err, want)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
