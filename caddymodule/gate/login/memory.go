package login

import (
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
}

type earning struct {
	flow   string // the sign-in that it is about
	key    [sha256.Size]byte
	done   chan struct{}
	until  time.Time
	tokens Tokens
	err    error
}

// NewMemory makes an empty one. over is told of each sign-in that has ended here.
func NewMemory(over func(signIn string)) *Memory {
	return &Memory{by: map[[sha256.Size]byte]*earning{}, over: over}
}

// once does the work, or waits for who does, or knows what came of it. A failure
// is told to those who wait and then forgotten.
func (m *Memory) once(flow, secret string, work func() (Tokens, error)) (Tokens, error) {
	key := sha256.Sum256([]byte(secret))
	m.mu.Lock()
	m.sweep(time.Now())
	if e := m.by[key]; e != nil {
		m.mu.Unlock()
		<-e.done
		return e.tokens, e.err
	}
	e := &earning{flow: flow, key: key, done: make(chan struct{})}
	m.by[key] = e
	m.mu.Unlock()

	e.err = errEnded // for those who wait, should the work panic
	defer m.finish(e)
	e.tokens, e.err = work()
	return e.tokens, e.err
}

var errEnded = errors.New("who asked the issuer has gone")

func (m *Memory) finish(e *earning) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.err != nil {
		delete(m.by, e.key)
	} else {
		e.until = time.Now().Add(remembered)
		m.order = append(m.order, e)
	}
	close(e.done)
}

func (m *Memory) sweep(now time.Time) {
	n := max(0, len(m.order)-mostRemembered)
	for n < len(m.order) && now.After(m.order[n].until) {
		n++
	}
	for _, e := range m.order[:n] {
		delete(m.by, e.key)
	}
	m.order = m.order[n:]
}

// mostEnded bounds the sign-ins that are remembered as over.
const mostEnded = 100_000

// end makes a sign-in over. A token of an issuer elsewhere goes on being good, so
// that it was ended is known here alone, for as long as a copy of its cookie could
// be of use.
func (m *Memory) end(flow string, until, now time.Time) {
	m.mu.Lock()
	for key, e := range m.by {
		if e.flow == flow {
			delete(m.by, key)
		}
	}
	m.mu.Unlock()
	if m.ends.Load() >= mostEnded {
		m.forget(now)
	}
	if m.ends.Load() < mostEnded {
		if _, known := m.ended.Swap(flow, until); !known {
			m.ends.Add(1)
		}
	}
	m.over(flow) // once nothing new begins
}

func (m *Memory) forget(now time.Time) {
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
	if m.ends.Load() == 0 {
		return false
	}
	_, ended := m.ended.Load(signIn)
	return ended
}
