package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// unasked is what a gate makes of a request that no proxy asks about; true says that
// the tour is over.
func (t *tour) unasked(g *Gate) bool {
	cause := errors.New("asked by itself, and not by a proxy about another request")
	says := &gate.Explanation{
		Refusal: &gate.Refusal{Status: http.StatusBadRequest, Reason: badOriginal, Cause: cause},
		Rules:   []gate.Rule{{Word: "answer", Value: g.Answer, Says: cause.Error()}},
	}
	t.end, t.at = "token_gate", g.At
	if g.Shadow {
		says.Pass = &gate.Pass{Shadowed: says.Refusal}
		t.end = toProxy
	}
	t.met = append(t.met, met{gate: g, says: says})
	return !g.Shadow || !g.more
}

// answered notes the yes of a gate that answers, which is one as well where its matcher
// does not select the request; true says that the tour is over.
func (t *tour) answered(g *Gate) bool {
	if g.Answer == "" {
		return false
	}
	t.end, t.at = toProxy, g.At
	return !g.more
}

// toProxy is what answers a question.
const toProxy = "token_gate, to the proxy that asks"

// unanswered tells of a question that no gate takes for one: what was found is about the
// address at which a proxy would have asked.
func (t *tour) unanswered(via string) error {
	if t.original == nil || slices.ContainsFunc(t.met, func(m met) bool { return m.gate.Answer != "" }) {
		return nil
	}
	end := t.end
	if t.at != "" {
		end += " at " + t.at
	}
	return fmt.Errorf("via: no gate with `answer` is asked at %s: the request ends at %s", via, end)
}
