package feed

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// outage is a time in which the looks fail. Whoever else meets it has nothing to add.
type outage struct {
	lock   sync.Mutex
	lost   bool    // the last look failed, which was told of
	unsaid []error // what others met while a look was late

	said map[string]time.Time // those that were told, and until when that is enough
}

const (
	// unsaidMost is how many errors wait for one look. Few work in the background, and each
	// goes on after the first.
	unsaidMost = 8

	// saidAgain is how soon one of them is told again while the database stays slow.
	saidAgain = time.Minute
)

// Explains says whether whoever met err, in the background, has nothing to tell: it is of
// a database that does not answer, which the looks tell of by themselves, once when it
// begins and once when it is over. While a look waits nobody knows which it is; if it is
// answered in the end, err is told of then.
func (t *Tail) Explains(err error) bool {
	if t == nil || !errors.Is(err, store.ErrUnavailable) {
		return false
	}
	late := t.Late()
	o := &t.outage
	o.lock.Lock()
	defer o.lock.Unlock()
	if o.lost || !late {
		return o.lost
	}
	same := func(e error) bool { return e.Error() == err.Error() }
	said := time.Now().Before(o.said[err.Error()])
	if len(o.unsaid) < unsaidMost && !said && !slices.ContainsFunc(o.unsaid, same) {
		o.unsaid = append(o.unsaid, err)
	}
	return true
}

// looked notes what came of a look. first is whether it is the first of its kind, and
// unsaid what nothing explains any more.
func (o *outage) looked(lost bool) (first bool, unsaid []error) {
	o.lock.Lock()
	defer o.lock.Unlock()
	first = o.lost != lost
	if !lost && len(o.unsaid) > 0 {
		unsaid = o.unsaid
		o.says(unsaid)
	}
	o.lost, o.unsaid = lost, nil
	return first, unsaid
}

// says notes what is told now, and forgets what was told long since.
func (o *outage) says(all []error) {
	now := time.Now()
	said := map[string]time.Time{}
	for text, until := range o.said {
		if now.Before(until) {
			said[text] = until
		}
	}
	for _, err := range all {
		said[err.Error()] = now.Add(saidAgain)
	}
	o.said = said
}
