package feed

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// tailBehind is one whose last look began so long ago, or is yet to begin.
func tailBehind(d time.Duration) *Tail {
	t := &Tail{}
	began := time.Now().Add(-d)
	t.asOf.Store(&began)
	return t
}

func (t *Tail) explains(all ...error) (explained []bool) {
	for _, err := range all {
		explained = append(explained, t.Explains(err))
	}
	return explained
}

var (
	errSlow  = fmt.Errorf("rotating keys: %w: a statement took too long", store.ErrUnavailable)
	errOther = errors.New("rotating keys: no such column")
)

// TestNothingButAnOutageExplains what somebody met in the background.
func TestNothingButAnOutageExplains(t *testing.T) {
	var alone *Tail
	if got := alone.explains(errSlow, errOther); !slices.Equal(got, []bool{false, false}) {
		t.Errorf("without other nodes: %v", got)
	}
	if got := tailBehind(-time.Minute).explains(errSlow, errOther); !slices.Equal(got, []bool{false, false}) {
		t.Errorf("a database that answers: %v", got)
	}
	lost := tailBehind(0)
	lost.outage.looked(true)
	if got := lost.explains(errSlow, errOther); !slices.Equal(got, []bool{true, false}) {
		t.Errorf("a database that does not answer: %v", got)
	}
}

// TestWhatASlowDatabaseAnsweredIsToldOf when its look was answered, too, and not when that
// failed: then there is an outage.
func TestWhatASlowDatabaseAnsweredIsToldOf(t *testing.T) {
	for _, lost := range []bool{false, true} {
		late := tailBehind(lateFrom + time.Second)
		if got := late.explains(errSlow, errSlow, errOther); !slices.Equal(got, []bool{true, true, false}) {
			t.Errorf("while the look is late: %v", got)
		}
		for n := range 3 * unsaidMost {
			late.Explains(fmt.Errorf("%d: %w", n, errSlow))
		}
		first, unsaid := late.outage.looked(lost)
		if first != lost {
			t.Errorf("lost %v is new: %v", lost, first)
		}
		switch {
		case lost && len(unsaid) > 0:
			t.Errorf("told beside the outage: %v", unsaid)
		case !lost && (len(unsaid) != unsaidMost || unsaid[0].Error() != errSlow.Error() || unsaid[1].Error() == errSlow.Error()):
			t.Errorf("told when the look was answered: %v", unsaid)
		}
		if _, again := late.outage.looked(false); again != nil {
			t.Errorf("told twice: %v", again)
		}
		late.Explains(errSlow)
		if _, again := late.outage.looked(false); (again != nil) != lost {
			t.Errorf("lost %v: told again while it stays slow: %v", lost, again)
		}
	}
}
