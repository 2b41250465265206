package postgres_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// TestStandbyIsNobodysStore: it answers, and what it answers may be of any age.
func TestStandbyIsNobodysStore(t *testing.T) {
	first := postgrestest.Start(t)
	text := first.Database(t)
	second := first.Standby(t)
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = second.Host()
	soon, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	_, err = opener(t, u.String())(soon)
	if err == nil || !strings.Contains(err.Error(), "does not answer as a primary: it is a standby; name all servers") || strings.Contains(err.Error(), "\n") {
		t.Errorf("opened at a standby: %v", err)
	}
	u.Host = second.Host() + "," + first.Host()
	st := open(t, u.String())
	if _, err := st.Keys(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.Kill() // and nobody is promoted
	if _, err := st.Keys(t.Context()); err == nil {
		t.Error("a look-up was answered by the standby")
	}
}
