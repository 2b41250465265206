package login

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// flow is a cookie that ties states to a browser. It also counts how often this
// browser was signed in a moment ago: a session that does not hold would begin
// again without end. Who changes the count cheats nobody else.
//
// A browser has one for all its tabs. But tabs that begin together, before any of
// them has it, get one each, under a name of its own: under one name nine of ten
// would find another's when they come back.
type flow struct {
	name    string
	browser string
	done    int
	last    int64
}

const browserBytes = 16

func newFlow() flow { return flow{name: flowCookie + "-" + random(3), browser: random(browserBytes)} }

// readFlow is the flow that the state of this browser was made for, any other where
// that one is not among those brought. The count is of all of them.
func readFlow(b *Brought, browser string) (f flow, ok bool) {
	if b.tossed {
		return f, false
	}
	var done int
	var last int64
	for i := -1; i < len(b.more); i++ {
		c := b.flow
		if i >= 0 {
			c = b.more[i]
		}
		one, good := parseFlow(c)
		if !good {
			continue
		}
		if one.last > last {
			done, last = one.done, one.last
		}
		if !ok || one.browser == browser {
			f, ok = one, true
		}
	}
	f.done, f.last = done, last
	return f, ok
}

func parseFlow(c named) (f flow, ok bool) {
	browser, rest, _ := strings.Cut(c.value, ".")
	if raw, err := encoding.DecodeString(browser); err != nil || len(raw) != browserBytes {
		return f, false
	}
	done, last, _ := strings.Cut(rest, ".")
	return flow{c.name, browser, int(number(done)), number(last)}, true
}

func (f *flow) String() string {
	return f.browser + "." + strconv.FormatInt(int64(f.done), 36) + "." + strconv.FormatInt(f.last, 36)
}

// settle leaves this one alone in the browser. The tabs of the others find that it
// is signed in by now, or begin anew with this one.
func (f *flow) settle(w http.ResponseWriter, b *Brought) {
	set(w, f.name, f.String())
	for _, c := range append(b.more, b.flow) {
		if c.name != f.name {
			set(w, c.name, "")
		}
	}
}

// loops reports whether this browser was signed in again and again just now.
func (f *flow) loops(now time.Time) bool {
	return f.done >= mostTries && f.justNow(now)
}

// again counts a sign-in that ended well.
func (f *flow) again(now time.Time) {
	if !f.justNow(now) {
		f.done = 0
	}
	f.done, f.last = f.done+1, now.Unix()
}

// justNow reports whether the last sign-in was a moment ago, or by the clock of another
// node is one ahead. A time that is far ahead is of a clock that has gone back since.
func (f *flow) justNow(now time.Time) bool {
	since := time.Duration(now.Unix()-f.last) * time.Second
	return since.Abs() < loopWindow
}
