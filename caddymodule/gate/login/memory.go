package login

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// remembered is how long what was earned is given to whoever comes late with the
	// same code or refresh token: the browser's other requests of the moment, and
	// those after an answer that got lost with its cookie.
	remembered = 30 * time.Second

	// unclaimed is how long it is kept for who asked and did not wait.
	unclaimed = time.Hour

	// mostRemembered bounds what people, not strangers, make us remember: a key is of
	// what was sealed here. Beyond it the oldest are forgotten.
	mostRemembered = 10_000
)

// Memory sees to it that one code or refresh token is shown to the issuer once,
// and that a sign-in which has ended here is over, whatever copy of its cookie
// comes. It outlives configurations.
type Memory struct {
	mu    sync.Mutex
	by    map[[sha256.Size]byte]*earning
	order []*earning

	over  func(flow string)
	ended sync.Map // flow -> time.Time until when it would count
	ends  atomic.Int64

	tell func(ctx context.Context, flow string, until time.Time) error // nil where nobody else has to know
	told func(flow string) bool
}

type earning struct {
	flow   string // the sign-in that it is about
	key    [sha256.Size]byte
	brief  bool // a failure is forgotten at once: anybody can make one
	done   chan struct{}
	tokens Tokens
	err    error

	began, ended time.Time
	given        time.Time // when somebody first got it; under the lock
	takers       int       // how many did
}

// NewMemory makes an empty one. over is told of each sign-in that has ended here.
func NewMemory(over func(signIn string)) *Memory {
	return &Memory{by: map[[sha256.Size]byte]*earning{}, over: over}
}

// Share has other nodes know of sign-ins that end here. tell lets them know of one until
// a time when nothing of it counts any more, and told says what they have let us know.
func (m *Memory) Share(tell func(ctx context.Context, signIn string, until time.Time) error, told func(signIn string) bool) {
	m.tell, m.told = tell, told
}

// once does the work, or waits for who does, or knows what came of it. A failure
// is told to those who wait and then forgotten.
func (m *Memory) once(flow, secret string, work func() (Tokens, error)) (Tokens, error) {
	e, mine := m.join(flow, secret, 0)
	if mine {
		e.brief = true
		m.work(e, work)
	}
	<-e.done
	return m.take(e)
}

// join finds who is at work with a secret, or what came of it; mine says that it is
// for the caller to do. After a failure nobody tries again for as long as it took,
// and for the pause at least; after a no for as long as anything is remembered.
func (m *Memory) join(flow, secret string, pause time.Duration) (e *earning, mine bool) {
	key, now := sha256.Sum256([]byte(secret)), time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(now)
	if e := m.by[key]; e != nil && now.Before(e.until(pause)) {
		return e, false
	}
	e = &earning{flow: flow, key: key, done: make(chan struct{}), began: now}
	m.by[key] = e
	return e, true
}

// until is for how long it stands for the next attempt.
func (e *earning) until(pause time.Duration) time.Time {
	switch {
	case e.ended.IsZero():
		return time.Now().Add(time.Hour) // it is under way
	case errors.Is(e.err, ErrRefused):
		return e.ended.Add(remembered) // it stays a no
	case e.err != nil:
		return e.ended.Add(max(pause, e.ended.Sub(e.began).Truncate(time.Second)))
	case e.given.IsZero():
		return e.ended.Add(unclaimed)
	}
	return e.given.Add(remembered)
}

func (m *Memory) work(e *earning, work func() (Tokens, error)) {
	tokens, err := Tokens{}, errEnded // for those who wait, should the work panic
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		e.tokens, e.err, e.ended = tokens, err, time.Now()
		if err != nil && e.brief {
			delete(m.by, e.key)
		} else {
			m.order = append(m.order, e)
		}
		close(e.done)
	}()
	tokens, err = work()
}

// take is what came of it, for who sends it to the browser.
func (m *Memory) take(e *earning) (Tokens, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.takers++; e.given.IsZero() {
		e.given = time.Now()
	}
	return e.tokens, e.err
}

// Unclaim is for a renewal that did not get to the browser: the next request of the
// session is given it. Where others were given it, too, theirs did.
func (m *Memory) Unclaim(s Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.by[sha256.Sum256([]byte(s.renewal()))]; e != nil && e.takers == 1 {
		e.given, e.takers = time.Time{}, 0
	}
}

var errEnded = errors.New("who asked the issuer has gone")

func (m *Memory) sweep(now time.Time) {
	n := max(0, len(m.order)-mostRemembered)
	for n < len(m.order) && now.After(m.order[n].until(pauseAfterFailure)) {
		n++
	}
	for _, e := range m.order[:n] {
		if m.by[e.key] == e {
			delete(m.by, e.key)
		}
	}
	m.order = m.order[n:]
}

// mostEnded bounds the sign-ins that are remembered as over.
const mostEnded = 100_000

// end makes a sign-in over. A token of an issuer elsewhere goes on being good, so
// that it was ended is remembered for as long as a copy of its cookie could be of use.
// false: there is no room for it.
func (m *Memory) end(flow string, until, now time.Time) (remembered bool) {
	m.mu.Lock()
	for key, e := range m.by {
		if e.flow == flow {
			delete(m.by, key)
		}
	}
	m.mu.Unlock()
	if m.ends.Load() >= mostEnded {
		m.forgetEnded(now)
	}
	_, known := m.ended.Load(flow)
	if remembered = known || m.ends.Load() < mostEnded; remembered {
		if _, known := m.ended.Swap(flow, until); !known {
			m.ends.Add(1)
		}
	}
	m.over(flow) // once nothing new begins
	return remembered
}

func (m *Memory) forgetEnded(now time.Time) {
	m.ended.Range(func(flow, until any) bool {
		if t, _ := until.(time.Time); now.After(t) {
			m.ended.Delete(flow)
			m.ends.Add(-1)
		}
		return true
	})
}

// Ended reports whether a session was signed out here.
func (m *Memory) Ended(s *Session) bool { return m.Gone(s.flow) }

// Gone is Ended for the name of a sign-in.
func (m *Memory) Gone(signIn string) bool {
	if m.ends.Load() > 0 {
		if _, ended := m.ended.Load(signIn); ended {
			return true
		}
	}
	return m.told != nil && m.told(signIn)
}
