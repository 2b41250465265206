package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// history is what clients asked about one thing, and heard.
type history struct {
	*testing.T
	name  string
	model porcupine.Model

	mu    sync.Mutex
	lines []line
}

type line struct {
	client int
	question
	reply
}

func (h *history) add(client int, q question, r reply) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line{client, q, r})
}

// refused is how often a refresh was.
func (h *history) refused() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.lines {
		if l.verb == refresh && l.outcome == refused {
			n++
		}
	}
	return n
}

// hardest is how long a search may take. Histories are kept so small that it is over
// in a millisecond.
const hardest = 30 * time.Second

// operations are the lines as the library wants them. One that was not answered may
// happen at any time after it was sent, and its client is another from there on.
func (h *history) operations() []porcupine.Operation {
	var last time.Duration
	for _, l := range h.lines {
		last = max(last, l.heard)
	}
	clients := 0
	for _, l := range h.lines {
		clients = max(clients, l.client+1)
	}
	var all []porcupine.Operation
	for _, l := range h.lines {
		o := porcupine.Operation{ClientId: l.client, Input: l.question, Call: int64(l.sent), Output: l.reply, Return: int64(l.heard)}
		if l.outcome == unheard {
			o.ClientId, o.Return = clients, int64(last)+1
			clients++
		}
		all = append(all, o)
	}
	return all
}

// verdict is Ok if the history is linearizable.
func (h *history) verdict() porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(h.model, h.operations(), hardest)
}

// check fails the test with the whole history if it is not linearizable.
func (h *history) check() bool {
	verdict := h.verdict()
	if verdict == porcupine.Ok {
		return true
	}
	path := filepath.Join(h.ArtifactDir(), strings.ReplaceAll(h.name, " ", "-")+".html")
	_, info := porcupine.CheckOperationsVerbose(h.model, h.operations(), hardest)
	drawn := "drawn in " + path + " (go test -artifacts keeps it)"
	if err := porcupine.VisualizePath(h.model, info, path); err != nil {
		drawn = err.Error()
	}
	h.Errorf("%s: no order of its requests explains the answers (%s); %s\n%s", h.name, verdict, drawn, h)
	return false
}

// String is the history as a table, by the time of sending.
func (h *history) String() string {
	lines := slices.SortedFunc(slices.Values(h.lines), func(a, b line) int { return cmp.Compare(a.sent, b.sent) })
	var table strings.Builder
	fmt.Fprintf(&table, "%-8s%12s%12s  %-30s%s", "client", "sent ms", "heard ms", "request", "answer")
	for _, l := range lines {
		fmt.Fprintf(&table, "\n%-8d%12.3f%12.3f  %-30s%s", l.client, millis(l.sent), millis(l.heard), l.question, l.to(l.question))
	}
	return table.String()
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
