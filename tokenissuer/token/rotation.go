package token

import "time"

// Rotation is how signing keys follow each other.
type Rotation struct {
	Algorithm Algorithm
	Period    time.Duration // how long a key signs; 0 turns rotation off
	Lead      time.Duration // how long a key is published before it signs, for those who cache key sets
	Longest   time.Duration // the longest lifetime of a token

	// Yield is for how long a key of another algorithm that replaced ours signs before
	// ours is made again: another node's configuration asked for it.
	Yield time.Duration
}

// Change is what a Rotation asks for. The zero value asks for nothing.
type Change struct {
	Make   time.Time // make a key that signs from here; zero for none
	Retire []string  // these sign no more, and expire at Expires
	Remove []string  // nothing signed with these is good any more

	Expires time.Time // of those in Retire
}

// Empty says that nothing is to be done.
func (c Change) Empty() bool { return c.Make.IsZero() && len(c.Retire) == 0 && len(c.Remove) == 0 }

// Next says what is due now. It keeps three promises, however late or often it
// is asked: a key is published for Lead before it signs (but for the first
// of all), a key retires only when a later one signs, and a retired key stays
// published until the last token signed with it has expired.
func (r Rotation) Next(keys []*Key, now time.Time) Change {
	var c Change
	var newest *Key // may sign or will, of our algorithm
	for _, k := range keys {
		switch {
		case k.expired(now):
			c.Remove = append(c.Remove, k.ID)
		case k.Retired.IsZero() && k.Algorithm == r.Algorithm && (newest == nil || k.SignFrom.After(newest.SignFrom)):
			newest = k
		}
	}

	current := Signing(keys, r.Algorithm, now)
	switch {
	case current == nil:
		c.Make = now
	case newest == nil && r.yields(current, now):
	case newest == nil:
		// Another algorithm: its keys sign until ours is known.
		c.Make = now.Add(r.Lead)
	case r.Period > 0 && !newest.SignFrom.After(now):
		// One step of the schedule; at least Lead from now when it was missed.
		due := newest.SignFrom.Add(r.Period)
		if !now.Before(due.Add(-r.Lead)) {
			c.Make = latest(due, now.Add(r.Lead))
		}
	}

	c.Expires = now.Add(r.Longest)
	for _, k := range keys {
		if current != nil && k.Retired.IsZero() && k.signs(now) && current.follows(k) {
			c.Retire = append(c.Retire, k.ID)
		}
	}
	return c
}

// yields says that the key that signs is another node's choice, and young. Two nodes
// of different configurations would make keys in turn, and each retire the other's.
func (r Rotation) yields(current *Key, now time.Time) bool {
	return current != nil && current.Algorithm != r.Algorithm && now.Before(current.SignFrom.Add(r.Yield))
}

// Yields says that a key of another algorithm signs and ours is not made yet.
func (r Rotation) Yields(keys []*Key, now time.Time) (to *Key, yes bool) {
	current := Signing(keys, r.Algorithm, now)
	return current, r.yields(current, now)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
