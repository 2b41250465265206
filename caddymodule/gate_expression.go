package caddymodule

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// expression parses, as Caddy's matcher of that name does:
//
//	expression <rule in CEL>
func (p *gateParser) expression() error {
	switch args := p.CountRemainingArgs(); {
	case args > 1: // the quotes belong to the rule
		p.gate.Expression = strings.Join(p.RemainingArgsRaw(), " ")
	case args == 1:
		p.NextArg()
		p.gate.Expression = p.Val()
	}
	if strings.TrimSpace(p.gate.Expression) == "" {
		return p.Errf("%s: expression needs a rule, such as `claims.department == \"eu\"` in backquotes", p.name)
	}
	return nil
}

// ofTheServer are the placeholders that have a value before any request: all
// other braces in an expression are CEL's.
var ofTheServer = regexp.MustCompile(`\{(env|file)\.[^{}]+\}`)

// expression puts the values of placeholders into a rule, each as a quoted text:
// whatever is in it, it cannot become a part of the rule.
func (r *reader) expression(rule string) string {
	return ofTheServer.ReplaceAllStringFunc(rule, func(placeholder string) string {
		text, _ := r.text("expression", placeholder)
		return strconv.QuoteToASCII(text)
	})
}

// checkExpression compiles the rule. While the Caddyfile is being adapted, its
// placeholders count as some text.
func (g *Gate) checkExpression() error {
	if g.Expression == "" {
		return nil
	}
	if _, err := gate.NewExpression(g.withoutPlaceholders()); err != nil {
		return placed("token_gate: expression: "+err.Error(), g.Lines.of("expression", "", g.At))
	}
	return nil
}

func (g *Gate) withoutPlaceholders() string {
	return ofTheServer.ReplaceAllString(g.Expression, `"x"`)
}

// claimsOfExpression are the claims that the rule asks for by name.
func (g *Gate) claimsOfExpression() []string {
	if g.Expression == "" {
		return nil
	}
	e, err := gate.NewExpression(g.withoutPlaceholders())
	if err != nil {
		return nil // told by checkExpression
	}
	return e.Claims()
}
