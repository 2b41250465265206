package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// Histories by hand, a request in a line: when it was sent and heard, in
// milliseconds, what was asked, and the answer. The window is 1000 ms, the clocks
// differ by 50, and an end is known everywhere after 100.
var byHand = []struct {
	claim string
	model porcupine.Model
	good  bool
	lines string
}{
	{"a code, its token, a token after that", signIns(aSecond), true, `
		0 10  redeem: granted 0
		11 20 refresh 0: granted 1
		21 30 refresh 1: granted 2`},
	{"a code with two winners", signIns(aSecond), false, `
		0 10 redeem: granted 0
		0 10 redeem: granted -1`},
	{"a spent code that is good later", signIns(aSecond), false, `
		0 10  redeem: granted 0
		11 20 redeem: refused
		21 30 redeem: granted 0`},
	{"a code that nobody has used and that is refused", signIns(aSecond), false, `
		0 10 redeem: refused`},
	{"a wrong verifier uses nothing up", signIns(aSecond), true, `
		0 10  redeem with a wrong verifier: refused
		11 20 redeem: granted 0
		21 30 refresh 0: granted 1`},
	{"a wrong verifier is granted", signIns(aSecond), false, `
		0 10 redeem with a wrong verifier: granted`},
	{"who comes with a spent code ends what it began", signIns(aSecond), true, `
		0 10  redeem: granted 0
		5 20  redeem: refused
		21 30 refresh 0: refused`},
	{"a sign-in that goes on after its code's second use", signIns(aSecond), false, `
		0 10  redeem: granted 0
		11 20 redeem: refused
		21 30 refresh 0: granted 1`},

	{"fifty with one token get one successor", signIns(aSecond), true, `
		0 10  redeem: granted 0
		11 20 refresh 0: granted 1
		11 20 refresh 0: granted 1
		12 30 refresh 0: granted 1`},
	{"a token with two successors", signIns(aSecond), false, `
		0 10  redeem: granted 0
		11 20 refresh 0: granted 1
		11 20 refresh 0: granted -1`},
	{"a token that nobody has spent and that is refused", signIns(aSecond), false, `
		0 10  redeem: granted 0
		11 20 refresh 0: granted 1
		21 30 refresh 1: refused`},
	{"a spent token whose successor was used", signIns(aSecond), false, `
		0 10  redeem: granted 0
		11 20 refresh 0: granted 1
		21 30 refresh 1: granted 2
		31 40 refresh 0: granted 1`},
	{"the same one, while the successor is being used", signIns(aSecond), true, `
		0 10  redeem: granted 0
		11 20 refresh 0: granted 1
		21 35 refresh 1: granted 2
		31 40 refresh 0: granted 1`},
	{"a theft that ends nothing", signIns(aSecond), false, `
		0 10  redeem: granted 0
		11 20 refresh 0: granted 1
		21 30 refresh 1: granted 2
		31 40 refresh 0: refused
		41 50 refresh 2: granted 3`},
	{"a theft beside the owner", signIns(aSecond), true, `
		0 10  redeem: granted 0
		11 20 refresh 0: granted 1
		21 30 refresh 1: granted 2
		31 50 refresh 0: refused
		41 50 refresh 2: granted 3
		51 60 refresh 3: refused`},
	{"too late for the window", signIns(aSecond), false, `
		0 10      redeem: granted 0
		11 20     refresh 0: granted 1
		1200 1210 refresh 0: granted 1`},
	{"too late, and refused", signIns(aSecond), true, `
		0 10      redeem: granted 0
		11 20     refresh 0: granted 1
		1200 1210 refresh 0: refused
		1211 1220 refresh 1: refused`},
	{"refused inside the window", signIns(aSecond), false, `
		0 10    redeem: granted 0
		11 20   refresh 0: granted 1
		200 210 refresh 0: refused`},
	{"at the window's end, where clocks differ", signIns(aSecond), true, `
		0 10      redeem: granted 0
		11 20     refresh 0: granted 1
		1030 1050 refresh 0: granted 1
		1030 1050 refresh 0: refused`},

	{"a refresh after a revocation's answer", signIns(aSecond), false, `
		0 10  redeem: granted 0
		11 20 revoke 0: granted
		21 30 refresh 0: granted 1`},
	{"a refresh beside a revocation", signIns(aSecond), true, `
		0 10  redeem: granted 0
		11 20 revoke 0: granted
		15 30 refresh 0: granted 1
		31 40 refresh 1: refused`},
	{"an access token soon after the end, at a node that has not heard of it", signIns(aSecond), true, `
		0 10  redeem: granted 0
		11 20 revoke 0: granted
		21 30 use 0: granted
		31 40 use 0: refused`},
	{"an access token that outlives its sign-in", signIns(aSecond), false, `
		0 10    redeem: granted 0
		11 20   revoke 0: granted
		121 130 use 0: granted`},
	{"an access token that a living sign-in has lost", signIns(aSecond), false, `
		0 10  redeem: granted 0
		11 20 use 0: refused`},

	{"a refresh that nobody has heard of, and the token after it", signIns(aSecond), true, `
		0 10  redeem: granted 0
		11 20 refresh 0: ?
		30 40 refresh 0: granted 1
		41 50 refresh 1: granted 2`},
	{"one that never happened", signIns(window{}), true, `
		0 10  redeem: granted 0
		11 20 refresh 0: ?
		30 40 refresh 0: granted 1`},
	{"one that happened, where nothing is earned again", signIns(window{}), true, `
		0 10  redeem: granted 0
		11 20 refresh 0: ?
		30 40 refresh 0: refused
		41 50 refresh 0: refused`},
	{"one that happened, and then it had not", signIns(window{}), false, `
		0 10  redeem: granted 0
		11 20 refresh 0: ?
		30 40 refresh 0: refused
		41 50 refresh 0: granted 1`},
	{"a revocation that happens long after its connection was lost", signIns(aSecond), true, `
		0 10  redeem: granted 0
		11 20 revoke 0: ?
		30 40 refresh 0: granted 1
		41 50 refresh 1: refused`},
	{"nothing lost, and refused all the same", signIns(aSecond), false, `
		0 10  redeem: granted 0
		11 20 refresh 0: ?
		30 40 refresh 0: granted 1
		41 50 refresh 1: refused`},

	{"five wrong codes, and the right one is worth nothing", oneTimeCodes(), true, `
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		11 20 right code: refused`},
	{"a sixth try", oneTimeCodes(), false, `
		0 10 wrong code: wrong
		0 10 wrong code: wrong
		0 10 wrong code: wrong
		0 10 wrong code: wrong
		0 10 wrong code: wrong
		0 10 wrong code: wrong`},
	{"the right one after five wrong ones", oneTimeCodes(), false, `
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		11 20 right code: granted`},
	{"a code that is good twice", oneTimeCodes(), false, `
		0 10 right code: granted
		5 20 right code: granted`},
	{"the right code called wrong", oneTimeCodes(), false, `
		0 10 right code: wrong`},
	{"a try that nobody has heard of counts, or not", oneTimeCodes(), true, `
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		0 10  wrong code: ?
		0 10  wrong code: wrong
		11 20 right code: refused`},
	{"a try fewer than five", oneTimeCodes(), false, `
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		0 10  wrong code: wrong
		11 20 right code: refused`},
}

var aSecond = window{open: time.Second, slack: 50 * time.Millisecond, late: 100 * time.Millisecond}

func TestHistoriesThatAreNotLinearizableAreRefused(t *testing.T) {
	for _, c := range byHand {
		h := &history{T: t, name: c.claim, model: c.model}
		for n, text := range strings.Split(strings.TrimSpace(c.lines), "\n") {
			q, r := readLine(t, text)
			h.add(n, q, r)
		}
		if got := h.verdict(); (got == porcupine.Ok) != c.good || got == porcupine.Unknown {
			t.Errorf("%s: %s\n%s", c.claim, got, h)
		}
	}
}

// readLine reads "SENT HEARD REQUEST [TOKEN]: ANSWER [TOKEN]".
func readLine(t *testing.T, text string) (q question, r reply) {
	t.Helper()
	var sent, heard int
	asked, answered, _ := strings.Cut(text, ": ")
	if _, err := fmt.Sscan(asked, &sent, &heard); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	words := strings.Fields(asked)[2:]
	q = question{sent: time.Duration(sent) * time.Millisecond, heard: time.Duration(heard) * time.Millisecond}
	if n, err := strconv.Atoi(words[len(words)-1]); err == nil {
		q.token, words = n, words[:len(words)-1]
	}
	q.verb = verb(strings.Join(words, " "))
	how, token, _ := strings.Cut(answered, " ")
	r.outcome = outcome(how)
	if token != "" {
		var err error
		if r.token, err = strconv.Atoi(token); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return q, r
}
