package gate

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// inspect finds out what an expression asks about.
func (e *Expression) inspect(checked *cel.Ast) error {
	e.lasting = true
	var err error
	ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(node ast.Expr) {
		switch node.Kind() {
		case ast.IdentKind:
			e.asks(node.AsIdent())
		case ast.SelectKind:
			if isClaims(node.AsSelect().Operand()) {
				e.claims = append(e.claims, node.AsSelect().FieldName())
			}
		case ast.CallKind:
			e.claims = append(e.claims, claimsOfCall(node.AsCall())...)
		case ast.ComprehensionKind:
			c := node.AsComprehension()
			for _, name := range []string{c.IterVar(), c.IterVar2()} {
				if name == "claims" || name == "request" || name == "now" {
					err = fmt.Errorf("%s is given another meaning: take another name for what is looped over", name)
				}
			}
		}
	}))
	e.claims = distinct(e.claims)
	return err
}

func (e *Expression) asks(name string) {
	if name == "now" || strings.HasPrefix(name, "request.") {
		e.lasting = false
	}
	e.path = e.path || name == "request.path"
	e.method = e.method || name == "request.method"
	e.host = e.host || name == "request.host"
}

func isClaims(node ast.Expr) bool {
	return node.Kind() == ast.IdentKind && node.AsIdent() == "claims"
}

// claimsOfCall are the names in claims["name"] and "name" in claims.
func claimsOfCall(call ast.CallExpr) []string {
	args := call.Args()
	switch {
	case len(args) != 2:
	case call.FunctionName() == operators.Index && isClaims(args[0]):
		return literal(args[1])
	case call.FunctionName() == operators.In && isClaims(args[1]):
		return literal(args[0])
	}
	return nil
}

func literal(node ast.Expr) []string {
	if node.Kind() == ast.LiteralKind {
		if text, ok := node.AsLiteral().(types.String); ok {
			return []string{string(text)}
		}
	}
	return nil
}
