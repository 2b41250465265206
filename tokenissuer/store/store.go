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
	many      *many // nil where there is one writer
	following sync.Mutex
	followers []Follower
}

// Follower is told what an Apply revoked, after its commit and before the
// Apply returns: nobody learns that a token is revoked before the gate does.
type Follower func(now time.Time, revoked []Revocation)

// New makes a store of two connection pools. Transactions run on the only
// connection of write: what waits for it is committed together. taken says whether
// an error means that a unique value exists. What else is held for the store is
// closed after the pools. Where connections write beside each other, see NewMany.
func New(write, read *sql.DB, taken func(error) bool, held ...io.Closer) *Store {
	return &Store{
		write: writer{db: write},
		read:  reader{db: read, stmts: make([]atomic.Pointer[sql.Stmt], len(readTexts))},
		taken: taken,
		held:  held,
	}
}

// Close waits for the transaction that is under way and closes the database.
func (s *Store) Close() error {
	if s.many != nil {
		s.many.waker.close()
	}
	err := s.write.db.Close()
	if s.read.db != s.write.db {
		err = errors.Join(s.read.db.Close(), err)
	}
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
