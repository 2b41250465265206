package login

import (
	"testing"
	"time"
)

// A clock that was ahead for a while, and went back, must not leave browsers that are told
// for as long that they go round; clocks of nodes that are seconds apart must not hide it.
func TestLoopIsCountedByAClockThatMayGoBack(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for ahead, loops := range map[time.Duration]bool{
		-2 * loopWindow: false, -loopWindow / 2: true, 0: true, loopWindow / 2: true, 2 * loopWindow: false, 24 * time.Hour: false,
	} {
		f := flow{done: mostTries, last: now.Add(ahead).Unix()}
		if f.loops(now) != loops {
			t.Errorf("the last sign-in %s from now: loops %v", ahead, !loops)
		}
		if f.again(now); (f.done == 1) == loops || f.last != now.Unix() {
			t.Errorf("the last sign-in %s from now: counted %d", ahead, f.done)
		}
	}
}

// What there is no room for is told, and not forgotten in silence.
func TestSignOutBeyondTheRoomIsNotSaidToBeRemembered(t *testing.T) {
	t.Parallel()
	m, now := NewMemory(func(string) {}), time.Now()
	if !m.end("first", now.Add(time.Hour), now) {
		t.Error("the first is not remembered")
	}
	m.ends.Store(mostEnded)
	if m.end("one too many", now.Add(time.Hour), now) || m.Gone("one too many") {
		t.Error("remembered without room")
	}
	if !m.end("first", now.Add(2*time.Hour), now) {
		t.Error("one that is known is not remembered longer")
	}
}
