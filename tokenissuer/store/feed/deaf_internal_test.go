package feed

import (
	"testing"
	"time"
)

// TestDeafnessIsToldOnce, and not at all where the database is away, nor of a listener
// that is back in a moment.
func TestDeafnessIsToldOnce(t *testing.T) {
	var d deafness
	began := time.Now()
	for _, step := range []struct {
		after      time.Duration
		late, told bool
	}{
		{0, false, false},
		{deafMost - 1, false, false},
		{deafMost, true, false}, // it cannot look either
		{2 * deafMost, true, false},
		{3 * deafMost, false, false}, // the first that counts
		{4 * deafMost, false, true},
		{5 * deafMost, false, false},
		{6 * deafMost, true, false},
		{9 * deafMost, false, false},
		{10 * deafMost, false, false},
	} {
		if told := d.again(began.Add(step.after), step.late); told != step.told {
			t.Errorf("after %s: told %v, want %v", step.after, told, step.told)
		}
	}
	if !d.over() {
		t.Error("the end is not told")
	}
	if d.again(began, false) || d.over() || d.over() {
		t.Error("an end is told of what was not")
	}
	if d.again(began, false) || !d.again(began.Add(deafMost), false) {
		t.Error("the next time is not told")
	}
}
