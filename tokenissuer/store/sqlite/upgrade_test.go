package sqlite

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// TestRowsOfVersion1AreGoodInVersion2 looks at what the second schema adds to
// rows of the first.
func TestRowsOfVersion1AreGoodInVersion2(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	at(t, path, current(), 1)
	st, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	early := time.UnixMilli(1) // rows of the first schema expire at 1, 2 and 3

	ids := map[string]bool{}
	for _, account := range []string{"t2", "t3"} {
		sessions, err := st.SessionsOf(t.Context(), early, account)
		if err != nil || len(sessions) != 1 {
			t.Fatalf("sessions of %s: %+v, %v", account, sessions, err)
		}
		s := sessions[0]
		id, err := uuid.Parse(s.ID)
		if err != nil || id.Version() != 4 || id.Variant() != uuid.RFC4122 || ids[s.ID] {
			t.Errorf("the id %q of a session: %v, want a UUID of its own", s.ID, err)
		}
		ids[s.ID] = true
		if !s.Seen.Equal(s.Created) || s.Seen.IsZero() || s.Source != account {
			t.Errorf("session %+v", s)
		}
		if byID, err := st.SessionByID(t.Context(), s.ID); err != nil || byID.Hash != s.Hash {
			t.Errorf("by its id: %+v, %v", byID, err)
		}
	}
	if a, err := st.Account(t.Context(), "t2"); err != nil || a.Attributes != nil || a.EmailVerified || a.PhoneVerified {
		t.Errorf("account %+v, %v", a, err)
	}
	if f, err := st.Family(t.Context(), "t2"); err != nil || f.Client != "t2" || f.Session != "" || f.Claims != "" {
		t.Errorf("family %+v, %v", f, err)
	}

	// No sign-in of the first schema belongs to a session, not even to "".
	if err := st.Apply(t.Context(), early, store.RevokeSession{All: true}); err != nil {
		t.Error(err)
	}
	if f, err := st.Family(t.Context(), "t2"); err != nil || f.Revoked.UnixMilli() != 2 {
		t.Errorf("family %+v, %v", f, err)
	}
	db := raw(t, path)
	var sent, codes, tokens int
	err = db.QueryRow(`SELECT (SELECT SUM(sent) FROM one_time_codes),
		(SELECT COUNT(*) FROM codes WHERE session = '' AND claims = '' AND acr = ''), (SELECT COUNT(*) FROM tokens)`).Scan(&sent, &codes, &tokens)
	if err != nil || sent != 3 || codes != 3 || tokens != 3 {
		t.Errorf("%d codes were sent, %d codes, %d tokens; %v; want 3 of each", sent, codes, tokens, err)
	}
}

// TestSignInsOfVersion3AreToldOfTheirSignOut looks at the sessions that were there
// before their clients were noted.
func TestSignInsOfVersion3AreToldOfTheirSignOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	at(t, path, current(), 3) // the session t2 with a sign-in of the client t2
	st, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if got, err := st.ClientsOfSession(t.Context(), "t2"); err != nil || !slices.Equal(got, []string{"t2"}) {
		t.Errorf("%q, %v", got, err)
	}
}
