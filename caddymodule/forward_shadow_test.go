package caddymodule

import (
	"strings"
	"testing"
)

// Who puts a gate into the shadow is told, before the start, what it does not do there.
func TestForwardInTheShadowIsWarnedOf(t *testing.T) {
	w := newWorld(t)
	w.write("log", "")
	for words, want := range map[string]string{
		"shadow\nforward signed": "token_gate: forward signed: without effect in the shadow, where every request keeps its Authorization",
		"shadow\nforward drop":   "token_gate: forward drop: without effect in the shadow",
		"shadow\nforward token":  "",
		"shadow":                 "",
		"forward signed":         "",
	} {
		before := w.logged()
		if err := w.validate(oneIssuer, strings.Replace(oneSite, "token_gate", "token_gate {\n"+words+"\n}", 1)); err != nil {
			t.Fatal(err)
		}
		log := strings.TrimPrefix(w.logged(), before)
		if told := strings.Contains(log, "in the shadow"); told != (want != "") || !strings.Contains(log, want) || told && !strings.Contains(log, `"at":"Caddyfile:35"`) {
			t.Errorf("%q: %s", words, log)
		}
	}
}
