package tokenissuer

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// told is what a state has told of.
type told struct {
	sync.Mutex
	lines  []string
	beside string // begins what is told too, when the minute of it comes while a test runs
}

func (l *told) add(err error) {
	l.Lock()
	defer l.Unlock()
	l.lines = append(l.lines, err.Error())
}

func (l *told) all() []string {
	l.Lock()
	defer l.Unlock()
	return slices.DeleteFunc(slices.Clone(l.lines), func(line string) bool { return l.beside != "" && strings.HasPrefix(line, l.beside) })
}

// await waits until so many were told, and wants them to begin so.
func (l *told) await(t *testing.T, want ...string) {
	t.Helper()
	for end := time.Now().Add(patience); len(l.all()) < len(want) && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	l.are(t, want...)
}

func (l *told) are(t *testing.T, want ...string) {
	t.Helper()
	if got := l.all(); !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Fatalf("told %q, want %q", got, want)
	}
}

// openNode is a state on a shared database that may be away.
func openNode(t *testing.T, url string) (*State, *told) {
	t.Helper()
	address, err := postgres.ParseAddress(url)
	if err != nil {
		t.Fatal(err)
	}
	st, err := postgres.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	l := &told{}
	s, err := OpenState(t.Context(), st, Config{}.KeyRules(""), l.add)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, l
}

// lookThrice has notices be looked for, and returns when that was done at least once.
func (s *State) lookThrice() {
	for range 3 { // there is room for one: the third gets in when what the first asked for is done
		s.notices <- struct{}{}
	}
}

// TestOutageIsToldOnce by all that works in the background, and its end once.
func TestOutageIsToldOnce(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	s, told := openNode(t, server.Database(t))
	s.lookThrice()
	s.keepUp(t.Context())
	told.are(t)
	server.Stop()
	told.await(t, "the changes of other nodes cannot be followed: ")
	s.lookThrice()
	s.keepUp(t.Context())
	told.are(t, "the changes of other nodes cannot be followed: ")
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	told.await(t, "the changes of other nodes cannot be followed: ", "the changes of other nodes are followed again")
	s.lookThrice()
	s.keepUp(t.Context())
	told.are(t, "the changes of other nodes cannot be followed: ", "the changes of other nodes are followed again")
}

// TestNoticesThatCannotBeLookedForAreToldOnce where the database answers all others.
func TestNoticesThatCannotBeLookedForAreToldOnce(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	s, told := openNode(t, url)
	told.beside = "sweeping the store: "
	rename := func(from, to string) {
		t.Helper()
		postgrestest.Exec(t, url, fmt.Sprintf("ALTER TABLE %s RENAME TO %s", from, to))
	}
	for n := range 2 {
		rename("deliveries", "away")
		before := told.all()
		s.lookThrice()
		want := append(before, "delivering logout notices: ")
		told.await(t, want...)
		s.lookThrice()
		told.are(t, want...)
		rename("away", "deliveries")
		s.lookThrice()
		told.await(t, append(want, "logout notices are delivered again")...)
		if t.Failed() {
			t.Fatalf("round %d", n)
		}
	}
}
