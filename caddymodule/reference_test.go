package caddymodule

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
)

// reference are the pages' parts, in their order: the parse function whose
// comment is the syntax, and the struct whose fields are the words.
var reference = []struct{ title, syntax, fields string }{
	{"Global option `token_issuer`", "parseGlobal", "App"},
	{"`store`", "store", "Store"},
	{"`limits`", "limits", "Limits"},
	{"`portal`", "portal", "Portal"},
	{"`scope`", "scope", "Scope"},
	{"`auth_source`", "authSource", "AuthSource"},
	{"`send`", "send", "Send"},
	{"`client`", "client", "Client"},
	{"Directive `token_issuer`", "parseIssuer", ""},
	{"Directive `token_gate`", "parseGate", "Gate"},
	{"`claim`", "claim", "ClaimRule"},
	{"`issuer`", "issuer", "ForeignIssuer"},
	{"`introspection`", "introspection", "Introspection"},
	{"`header`", "header", "Header"},
	{"`login`", "login", "Login"},
}

// TestReferenceIsTheCodes holds docs/reference.md to what the code says; with
// -update it is written from there.
func TestReferenceIsTheCodes(t *testing.T) {
	files := []string{"app.go", "gateway.go", "caddyfile_issuer.go", "caddyfile_portal.go", "caddyfile_codes.go", "caddyfile_gate.go", "login.go", "foreign.go"}
	syntax, structs := map[string]string{}, map[string]*ast.StructType{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if s := indented(d.Doc.Text()); s != "" {
					syntax[d.Name.Name] = s
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok {
						if st, ok := ts.Type.(*ast.StructType); ok {
							structs[ts.Name.Name] = st
						}
					}
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString("# Reference\n\nWritten from the comments in `caddymodule`; a test holds it to them. Words that are not here are refused.\n" +
		"Every value may hold placeholders such as `{env.NAME}` or `{file./path}`; durations are texts such as `300s` or `30d`.\n")
	for _, part := range reference {
		text, ok := syntax[part.syntax]
		if !ok {
			t.Fatalf("%s has no syntax comment", part.syntax)
		}
		fmt.Fprintf(&b, "\n## %s\n\n```\n%s```\n", part.title, text)
		if part.fields == "" {
			continue
		}
		st, ok := structs[part.fields]
		if !ok {
			t.Fatalf("there is no struct %s", part.fields)
		}
		b.WriteString("\n| JSON | |\n|---|---|\n")
		for _, f := range st.Fields.List {
			if row := field(f); row != "" {
				b.WriteString(row)
			}
		}
	}
	const page = "../docs/reference.md"
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Error("docs/reference.md is not what the code says; write it anew with: go test ./caddymodule -run Reference -update")
	}
}

// indented returns the preformatted block of a comment.
func indented(doc string) string {
	var b strings.Builder
	for line := range strings.Lines(doc) {
		if strings.HasPrefix(line, "\t") {
			b.WriteString(line[1:])
		}
	}
	return b.String()
}

// field is the row of a documented field.
func field(f *ast.Field) string {
	if f.Tag == nil {
		return ""
	}
	name, _, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
	if name == "" || name == "at" {
		return ""
	}
	return fmt.Sprintf("| `%s` | %s |\n", name, strings.ReplaceAll(strings.TrimSpace(f.Doc.Text()), "\n", " "))
}
