package store

import (
	"database/sql"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Store is the records in one database. It is safe for concurrent use.
type Store struct {
	write     writer
	read      reader
	taken     func(error) bool
	held      []io.Closer
	following sync.Mutex
	followers []Follower
}

// Follower is told what an Apply revoked, after its commit and before the
// Apply returns: nobody learns that a token is revoked before the gate does.
type Follower func(now time.Time, revoked []Revocation)

// New makes a store of two connection pools, as the database packages open
// them; taken says whether an error of theirs means that a unique value exists.
// Both pools may be the same. A write pool of one connection is shared: what
// waits for it is committed together. What else is held for the store is closed
// after the pools.
func New(write, read *sql.DB, taken func(error) bool, held ...io.Closer) *Store {
	return &Store{
		write: writer{db: write, alone: write.Stats().MaxOpenConnections == 1},
		read:  reader{db: read, stmts: make([]atomic.Pointer[sql.Stmt], len(readTexts))},
		taken: taken,
		held:  held,
	}
}

// Close waits for the transaction that is under way and closes the database.
func (s *Store) Close() error {
	err := errors.Join(s.read.db.Close(), s.write.db.Close())
	for _, h := range s.held {
		err = errors.Join(err, h.Close())
	}
	return err
}

// Follow adds a follower. It must return quickly, and must not call Apply.
func (s *Store) Follow(f Follower) {
	s.following.Lock()
	defer s.following.Unlock()
	s.followers = append(s.followers, f)
}

func (s *Store) tell(now time.Time, revoked []Revocation) {
	if len(revoked) == 0 {
		return
	}
	s.following.Lock()
	followers := s.followers
	s.following.Unlock()
	for _, f := range followers {
		f(now, revoked)
	}
}
