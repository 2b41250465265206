package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

func TestExpressionOfTheCaddyfileJudges(t *testing.T) {
	t.Setenv("TEST_CLIENT", `shop" || "x" == "x`)
	w := newWorld(t)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	token_gate /read/* {
		expression `+"`request.method == \"GET\" && claims.sub == \"shop\"`"+`
	}
	token_gate /env/* {
		expression claims.sub == {env.TEST_CLIENT}
	}
	token_gate /near/* {
		expression `+"`request.client_ip == \"\" && request.host == \"app.example.com\"`"+`
	}
	respond "the backend"
}`)
	bearer := "Authorization: Bearer " + w.token()
	if a := w.get("/read/x", bearer); a.body != "the backend" {
		t.Errorf("reading: %v", a)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://app.example.com/read/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", strings.TrimPrefix(bearer, "Authorization: "))
	if a, err := w.do(r); err != nil || a.status != http.StatusForbidden || !strings.Contains(a.header.Get("WWW-Authenticate"), "insufficient_scope") {
		t.Errorf("writing: %v, %v", a, err)
	}
	if a := w.get("/env/x", bearer); a.status != http.StatusForbidden {
		t.Errorf("a value became a part of the rule: %v", a)
	}
	if reason := text(w.events("gate refused")[0]["reason"]); reason != "expression_refused" {
		t.Errorf("reason %q", reason)
	}
}
