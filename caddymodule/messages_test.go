package caddymodule

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestOperatorsManualListsEveryLogMessage: whoever filters the log has to know what can
// be in it. Warnings of what a configuration lacks speak for themselves and have one
// row together.
func TestOperatorsManualListsEveryLogMessage(t *testing.T) {
	written := logMessages(t)
	if len(written) < 10 {
		t.Fatalf("the code has only %q", slices.Sorted(maps.Keys(written)))
	}
	listed := map[string]bool{}
	manual, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(manual), "| logger | message | level | |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for row := range strings.Lines(table) {
		if cells := strings.Split(row, "|"); len(cells) > 3 && strings.HasPrefix(cells[2], " `") {
			listed[strings.Trim(cells[2], " `")] = true
		}
	}
	for message, where := range written {
		if !listed[message] {
			t.Errorf("%s writes %q, which the table in docs/operating.md lacks", where, message)
		}
		delete(listed, message)
	}
	for message := range listed {
		t.Errorf("docs/operating.md has %q, which nothing writes", message)
	}
}

// logMessages are the messages that the package writes, each with its file.
func logMessages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found, outcomes := map[string]string{}, []string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			at := -1
			switch method.Sel.Name {
			case "refused":
				outcomes = append(outcomes, literal(call.Args[len(call.Args)-1]))
			case "Warn":
				if strings.HasPrefix(name, "observe") { // others are of a configuration
					at = 0
				}
			case "Debug", "Info", "Error":
				at = 0
			case "Check":
				at = 1
			}
			if at >= 0 && at < len(call.Args) && isLog(method.X) {
				if message := literal(call.Args[at]); message != "" {
					found[message] = name
				}
			}
			return true
		})
	}
	for _, outcome := range outcomes { // gate refused, …
		found["gate "+outcome] = found["gate"]
	}
	delete(found, "gate")
	return found
}

// literal is a text, or what one begins with, without what joins it to the rest.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return strings.TrimRight(text, ": ")
	case *ast.BinaryExpr:
		return literal(e.X)
	}
	return ""
}

// isLog reports whether an expression is a logger: `a.logger`, `log`, or made from
// Caddy's.
func isLog(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "log" || e.Name == "logger"
	case *ast.SelectorExpr:
		return e.Sel.Name == "logger"
	case *ast.CallExpr:
		method, ok := e.Fun.(*ast.SelectorExpr)
		return ok && (method.Sel.Name == "Named" || method.Sel.Name == "With" || method.Sel.Name == "Log")
	}
	return false
}
