package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Change is what one Apply did that other processes keep in memory. Its row is
// written in the same transaction, so there is neither without the other.
type Change struct {
	Revoked []Revocation
	Keys    bool // the keys are to be read again
}

// Cursor is where a reader of the changes stands. Numbers are given out before
// transactions commit, so a row can appear behind one that was read already: the
// gaps are looked at until their transactions cannot be under way any more.
type Cursor struct {
	last int64                   // of the rows that were read, the highest
	at   int64                   // its time: it is this row, and no other of that number; 0 for none
	gaps map[int64]time.Duration // when each was first seen, as followed counts

	followed time.Duration // how long the changes were looked at, without pauses
	looked   time.Time     // the last time
	late     time.Duration // when old gaps were asked for the last time, as followed counts
}

const (
	// underWay is longer than a transaction takes, with its retries in the network and a
	// server that is slow to end it. What takes longer is a commit that waits for a standby
	// and that nobody can call off any more: its node has died.
	underWay = time.Minute

	// lateEvery is how often those are asked for.
	lateEvery = 5 * time.Second

	// pauseMost is what of the time between two looks counts as having looked.
	pauseMost = 5 * time.Second

	// mostChanges is how many rows a reader takes at once.
	mostChanges = 500

	// inOneRow is how many revocations a row has at most.
	inOneRow = 500
)

const (
	// KeepChanges is how long a change can be read.
	KeepChanges = time.Hour

	// AwayMost is after how long without a look all is to be read anew: much less than
	// changes are kept for, because clocks differ.
	AwayMost = KeepChanges / 4
)

// written is a revocation in a row: short names, for there may be many.
type written struct {
	Token     string `json:"t,omitempty"`
	Client    string `json:"c,omitempty"`
	NotBefore int64  `json:"n,omitempty"`
	Expires   int64  `json:"e"`
}

// The clock is the database's, which all of its processes share.
const insertChange = `
INSERT INTO changes (at, keys, revoked) VALUES (CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT), $1, $2)`

// announce writes down what others have to know of this transaction. A single
// process has no others.
func (t *transaction) announce(ctx context.Context) error {
	if t.many == nil || !t.announced() {
		return nil
	}
	keys := flag(t.keys)
	for rest := t.revoked; ; {
		n := min(len(rest), inOneRow)
		text, err := json.Marshal(inWriting(rest[:n]))
		if err != nil {
			return err
		}
		if _, err := t.tx.ExecContext(ctx, insertChange, keys, string(text)); err != nil {
			return fmt.Errorf("announcing: %w", err)
		}
		if rest, keys = rest[n:], 0; len(rest) == 0 {
			return nil
		}
	}
}

// announced says whether others have something to read of this transaction.
func (t *transaction) announced() bool { return len(t.revoked) > 0 || t.keys }

func inWriting(revoked []Revocation) []written {
	rows := make([]written, len(revoked))
	for i, r := range revoked {
		rows[i] = written{Token: r.Token, Client: r.Client, Expires: millis(r.Expires)}
		if r.Client != "" {
			rows[i].NotBefore = millis(r.NotBefore)
		}
	}
	return rows
}

// change is a row of the feed, or what there is without one: the database's clock,
// and the time of the row that was read last.
type change struct {
	clock       int64
	last        sql.NullInt64
	n, at, keys sql.NullInt64
	revoked     sql.NullString
}

// Every node asks this twice a second. What is new and what fills gaps are asked for
// apart: as one condition they would let PostgreSQL read the changes of an hour in
// their order, and leave out what is neither.
var selectChanges = readsApart(`
SELECT t.clock, t.copy, t.last, c.n, c.at, c.keys, c.revoked FROM (SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS clock,
	pg_is_in_recovery() AS copy, (SELECT at FROM changes WHERE n = $1) AS last) t
LEFT JOIN ((SELECT n, at, keys, revoked FROM changes WHERE n > $1 ORDER BY n LIMIT $3)
UNION ALL SELECT n, at, keys, revoked FROM changes WHERE n = ANY($2)) c ON 1 = 1 ORDER BY c.n`)

func scanChange(row scanner) (change, error) {
	var c change
	var copied bool
	err := row.Scan(&c.clock, &copied, &c.last, &c.n, &c.at, &c.keys, &c.revoked)
	if err == nil && copied {
		err = errCopy
	}
	return c, err
}

// ErrWentBack is of a database that is not what it was: a row that was read is not
// there any more. A standby took over that had not got it yet, or a backup was restored
// under those who run. Numbers are given out a second time, so whoever goes on from his
// place misses what gets them.
var ErrWentBack = errors.New("a change that was read is gone")

func (c change) read() (Change, error) {
	var rows []written
	if err := json.Unmarshal([]byte(c.revoked.String), &rows); err != nil {
		return Change{}, fmt.Errorf("change %d: %w", c.n.Int64, err)
	}
	read := Change{Keys: c.keys.Int64 != 0}
	for _, r := range rows {
		v := Revocation{Token: r.Token, Client: r.Client, Expires: moment(r.Expires)}
		if r.Client != "" {
			v.NotBefore = moment(r.NotBefore)
		}
		read.Revoked = append(read.Revoked, v)
	}
	return read, nil
}

// Shared says whether other processes write to this database, too: then what they
// change is to be followed.
func (s *Store) Shared() bool { return s.many != nil }

var selectPosition = readsApart(`
SELECT n, at FROM changes WHERE at < (SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) - $1) ORDER BY n DESC LIMIT 1`)

// As many numbers as a start should take the time for.
var selectGaps = readsApart(`
SELECT g.n FROM (SELECT n, LAG(n) OVER (ORDER BY n) AS before FROM changes WHERE n <= $1 AND n > $1 - 100000) c
CROSS JOIN LATERAL generate_series(c.before + 1, c.n - 1) AS g (n) ORDER BY g.n DESC LIMIT $2`)

// Position is a place in the changes behind which nothing is missing for who reads
// the records after this call.
func (s *Store) Position(ctx context.Context) (*Cursor, error) {
	c, err := one(ctx, s, "the place in the changes", selectPosition, func(row scanner) (*Cursor, error) {
		c := &Cursor{gaps: map[int64]time.Duration{}}
		return c, row.Scan(&c.last, &c.at)
	}, underWay.Milliseconds())
	if errors.Is(err, ErrNotFound) {
		return &Cursor{gaps: map[int64]time.Duration{}}, nil // before the first
	}
	if err != nil {
		return nil, err
	}
	gaps, err := all(ctx, s, "the gaps in the changes", selectGaps, func(row scanner) (n int64, err error) {
		return n, row.Scan(&n)
	}, c.last, mostGaps)
	for _, n := range gaps {
		c.gaps[n] = -underWay
	}
	return c, err
}

// Changes are those that appeared since the cursor's place, which moves on. more
// says that there are further ones. clock is the database's time; now is any clock
// of the caller's that goes on steadily. After ErrWentBack the cursor is of no use.
func (s *Store) Changes(ctx context.Context, c *Cursor, now time.Time) (changes []Change, clock time.Time, more bool, err error) {
	rows, err := all(ctx, s, "changes", selectChanges, scanChange, c.last, c.awaited(now), mostChanges)
	if err != nil {
		return nil, time.Time{}, false, err
	}
	fresh := 0
	for _, row := range rows {
		clock = moment(row.clock)
		if c.at != 0 && row.last.Int64 != c.at {
			return nil, time.Time{}, false, ErrWentBack
		}
		if !row.n.Valid {
			continue // nothing new but the time
		}
		if row.n.Int64 > c.last {
			fresh++
		}
		read, err := row.read()
		if err != nil {
			return nil, time.Time{}, false, failure("reading changes", err)
		}
		changes = append(changes, read)
	}
	// Only when all could be read.
	for _, row := range rows {
		if row.n.Valid {
			c.pass(row.n.Int64, row.at.Int64)
		}
	}
	return changes, clock, fresh == mostChanges, nil
}

// awaited are the gaps to ask for. In the end nothing can fill them any more: what was
// undone, or never used. A pause counts as little: whoever stood still, this process or
// the database, goes on with what it was doing.
func (c *Cursor) awaited(now time.Time) []int64 {
	c.followed += min(now.Sub(c.looked), pauseMost)
	c.looked = now
	late := c.followed-c.late >= lateEvery
	if late {
		c.late = c.followed
	}
	ask := []int64{}
	for n, seen := range c.gaps {
		switch age := c.followed - seen; {
		case age > KeepChanges: // its row would be swept
			delete(c.gaps, n)
		case late || age <= underWay:
			ask = append(ask, n)
		}
	}
	return ask
}

// mostGaps bounds what a jump of the numbers can cost: a server that comes back
// after a crash leaves some out.
const mostGaps = 10_000

func (c *Cursor) pass(n, at int64) {
	delete(c.gaps, n)
	for gap := n - 1; gap > c.last && len(c.gaps) < mostGaps; gap-- {
		c.gaps[gap] = c.followed
	}
	if n > c.last {
		c.last, c.at = n, at
	}
}

// Everybody has read a change long before it goes. Of the changes that everybody has
// read the last one stays, with what came in its minute: who stands there finds the
// place again, however long nothing happened. The times stand in queries of their own,
// or the index would not be asked for them; and the few in an array, or all would be
// read for them, whom PostgreSQL takes for a third of the table.
const dropChanges = `
DELETE FROM changes WHERE n = ANY(ARRAY(
	SELECT n FROM changes WHERE at < (
		SELECT LEAST(clock - $1, (SELECT at FROM changes WHERE at < clock - $2 ORDER BY at DESC LIMIT 1) - $3)
		FROM (SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS clock) t)
	ORDER BY at LIMIT $4))`

// dropping is what dropChanges takes besides how many.
func dropping(most int) []any {
	return []any{KeepChanges.Milliseconds(), (2 * AwayMost).Milliseconds(), underWay.Milliseconds(), most}
}

// Hear tells the followers what another process revoked.
func (s *Store) Hear(now time.Time, revoked []Revocation) { s.tell(now, revoked) }

// Listen calls wake when it listens, and then whenever there may be new changes, until
// ctx ends or the connection does. It says nothing of changes that came before.
func (s *Store) Listen(ctx context.Context, wake func()) error {
	return s.many.listen(ctx, wake)
}
