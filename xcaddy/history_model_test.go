package main

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"
)

// A model says what requests about one thing may be answered if they came one after
// another. A history is linearizable if its answers are those of some such order, in
// which no request comes before another that was answered before it was sent.

// verb is what a request asks for.
type verb string

const (
	redeem    verb = "redeem"
	misredeem verb = "redeem with a wrong verifier"
	refresh   verb = "refresh"
	revoke    verb = "revoke"
	use       verb = "use" // of an access token

	tryRight verb = "right code"
	tryWrong verb = "wrong code"
)

// outcome is what a client has heard.
type outcome string

const (
	granted   outcome = "granted"
	refused   outcome = "refused"
	wrongCode outcome = "wrong" // and one try less
	unheard   outcome = "?"     // it may have happened, or will, or never
)

// question is a request with the time in which a node has looked at its clock for it.
type question struct {
	verb        verb
	token       int // of refresh, revoke and use: how manieth of its kind
	sent, heard time.Duration
}

// reply is its answer, with the refresh token that came with it. A token that is no
// other request's but should be has a number below 0.
type reply struct {
	outcome outcome
	token   int
}

// span is when something has happened, as far as can be known.
type span struct{ from, to time.Duration }

// signIn is the state of a sign-in that begins with an authorization code.
type signIn struct {
	begun bool // the code is spent
	token int  // the one refresh token that is not spent
	spent span // when the one before it was
	ended bool
	end   span // when
}

// over is s after a request that ends it; what has ended stays so.
func (s signIn) over(q question) signIn {
	if s.ended {
		return s
	}
	return signIn{begun: true, ended: true, end: span{q.sent, q.heard}}
}

func (s signIn) String() string {
	switch {
	case !s.begun:
		return "code"
	case s.ended:
		return "ended"
	}
	return fmt.Sprintf("alive at %d", s.token)
}

// window is how long a spent refresh token earns its successor again, by how much
// the clocks of two nodes may differ, and how late they may hear of an end.
type window struct{ open, slack, late time.Duration }

// inside and outside say whether a request may have come before and after the
// window's end. Both may be.
func (w window) inside(q question, spent span) bool { return q.sent-spent.to-w.slack < w.open }

func (w window) outside(q question, spent span) bool { return q.heard-spent.from+w.slack >= w.open }

// signIns is the model of one sign-in: a code is good for one sign-in and a second
// look at it ends that one; a refresh token has one successor and, spent, earns that
// again in the window until it is used; any other use of a spent one ends the
// sign-in; of an ended one nothing is granted, and its access tokens open nothing as
// soon as all have heard of it.
func signIns(w window) porcupine.Model {
	return modelOf(signIn{}, func(s signIn, q question, r reply) (bool, signIn) {
		switch q.verb {
		case redeem, misredeem:
			return s.redeemed(q, r)
		case refresh:
			return s.refreshed(w, q, r)
		case revoke:
			return s.begun && r.outcome != refused, s.over(q) // an ended one, too
		case use:
			stale := s.ended && q.sent-s.end.to < w.late
			return r.outcome == unheard || r.outcome == refused && s.ended || r.outcome == granted && s.begun && (stale || !s.ended), s
		}
		return false, s
	})
}

func (s signIn) redeemed(q question, r reply) (bool, signIn) {
	switch {
	case s.begun: // RFC 6749 §4.1.2
		return r.outcome != granted, s.over(q)
	case q.verb == misredeem:
		return r.outcome != granted, s
	}
	s.begun = true
	return r.outcome != refused && r.token == 0, s
}

func (s signIn) refreshed(w window, q question, r reply) (bool, signIn) {
	good := r.outcome == unheard || r.outcome == granted && r.token == q.token+1
	switch {
	case s.ended:
		return r.outcome != granted, s
	case !s.begun || q.token > s.token:
		return false, s // where would it come from?
	case q.token == s.token:
		return good, signIn{begun: true, token: s.token + 1, spent: span{q.sent, q.heard}}
	}
	again := q.token == s.token-1 && w.inside(q, s.spent)
	late := q.token < s.token-1 || w.outside(q, s.spent)
	switch {
	case r.outcome == granted:
		return again && good, s
	case late: // unheard, too: that nothing has happened is the same as that it comes last
		return true, s.over(q)
	}
	return r.outcome == unheard, s
}

// tries is how many wrong codes one otp_token takes.
const tries = 5

// oneTimeCode is the state of one that was sent.
type oneTimeCode struct {
	wrong int
	spent bool
}

func (s oneTimeCode) String() string {
	if s.spent {
		return "spent"
	}
	return fmt.Sprintf("%d wrong", s.wrong)
}

// oneTimeCodes is the model of one code: it is good for one sign-in, and for none
// after five wrong tries.
func oneTimeCodes() porcupine.Model {
	return modelOf(oneTimeCode{}, func(s oneTimeCode, q question, r reply) (bool, oneTimeCode) {
		if s.spent || s.wrong == tries {
			return r.outcome == refused || r.outcome == unheard, s
		}
		if q.verb == tryRight {
			s.spent = true
			return r.outcome == granted || r.outcome == unheard, s
		}
		s.wrong++
		return r.outcome == wrongCode || r.outcome == unheard, s
	})
}

// modelOf dresses a step up for the library, which knows no types.
func modelOf[S fmt.Stringer](first S, step func(S, question, reply) (bool, S)) porcupine.Model {
	return porcupine.Model{
		Init:  func() any { return first },
		Step:  func(s, q, r any) (bool, any) { return step(s.(S), q.(question), r.(reply)) },
		Equal: func(one, other any) bool { return one == other },
		DescribeOperation: func(q, r any) string {
			return q.(question).String() + ": " + r.(reply).to(q.(question))
		},
		DescribeState: func(s any) string { return s.(S).String() },
	}
}

func (q question) String() string {
	if q.verb == refresh || q.verb == revoke || q.verb == use {
		return fmt.Sprintf("%s %d", q.verb, q.token)
	}
	return string(q.verb)
}

// to is the answer to a question; not every one comes with a refresh token.
func (r reply) to(q question) string {
	if r.outcome == granted && (q.verb == redeem || q.verb == refresh) {
		return fmt.Sprintf("%s %d", r.outcome, r.token)
	}
	return string(r.outcome)
}
