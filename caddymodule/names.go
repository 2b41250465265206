package caddymodule

import (
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

var (
	queryRead = regexp.MustCompile(`\{http\.request\.uri\.query\.([^{}\\]*)\}`)
	wholeRead = regexp.MustCompile(`http\.request\.(orig_)?uri\.(prefixed_)?query(_escaped)?\b`)
	rawRead   = regexp.MustCompile(`http\.request\.(orig_)?uri(_escaped)?([^._\w]|$)|http\.request\.orig_uri\.path\.file_escaped`)

	// In a rule in CEL, names are literals, of which some are put together.
	callsQuery = regexp.MustCompile(`\bquery\s*\(`)
	literals   = regexp.MustCompile(`'([^']*)'|"([^"]*)"`)
	puts       = regexp.MustCompile(`[+\\]|\bph\s*\(|\{[a-zA-Z][\w.-]+\}\s*:`)

	// Calls that name a header as it is, whatever stands in the pattern, or the values.
	namesHeader = regexp.MustCompile(`\bheader_regexp\s*\(\s*(?:` + nameInCEL + `\s*,\s*)?` + nameInCEL + `\s*,\s*` + textInCEL + `\s*\)` +
		`|\bheader\s*\(\s*\{\s*` + nameInCEL + `\s*:\s*` + textInCEL + `\s*\}\s*\)`)
)

const (
	nameInCEL = `(?:'[\w-]+'|"[\w-]+")`
	textInCEL = `(?:r'[^']*'|r"[^"]*"|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")`
)

// provisionReads notes what the gate's matchers read that a backend may read otherwise, and
// the matchers that read nothing of it: what a path or a host rules out is out, whatever
// the rest may mean.
func (g *Gate) provisionReads(sets any) error {
	g.asHost, g.asBody = readsHost(g.MatcherSetsRaw), readsBody(g.MatcherSetsRaw)
	g.names, g.asBefore = namesOf(g.MatcherSetsRaw), readsBefore(g.MatcherSetsRaw)
	g.asScript = g.asBefore // until it is known of what that is made
	if g.names == nil && !g.asBefore {
		return nil
	}
	all, _ := sets.([]map[string]any)
	sure := make([]map[string]any, len(all))
	for i, set := range all {
		sure[i] = map[string]any{}
		for name, matcher := range set {
			alone := caddyhttp.RawMatcherSets{{name: g.MatcherSetsRaw[i][name]}}
			if namesOf(alone) == nil && !readsBefore(alone) {
				sure[i][name] = matcher
			}
		}
	}
	return g.sure.FromInterface(sure)
}

// namesOf are the names that matchers read, nil where they read none.
func namesOf(sets caddyhttp.RawMatcherSets) *gate.Names {
	n := &namesRead{Names: new(gate.Names)}
	n.addSets(sets)
	if readsQuestion(sets) != "" { // until it is known of what that is made
		n.addAll()
	}
	return n.done()
}

// namesRead gathers names.
type namesRead struct {
	*gate.Names

	each, once []string // headers of which each line is looked at, and those of which not
	made       made     // what `map` and `vars` make
	regexp     bool     // what an expression has found is read,
	gates      []*Gate  // which may be one of theirs
}

// textOf is all that a matcher says.
func textOf(value any) string { return strings.Join(slices.Collect(texts(value)), "\n") }

// textsOf is all that matchers say.
func textsOf(sets caddyhttp.RawMatcherSets) string {
	var all []string
	inMatchers(sets, func(_ string, value any) string {
		all = append(all, textOf(value))
		return ""
	})
	return strings.Join(all, "\n")
}

func (n *namesRead) addAll() {
	n.Query.All, n.Fields.All, n.Cookies.All, n.Raw = true, true, true, true
	n.Texts.AddPaths()
}

// isAll says that it may be anything.
func (n *namesRead) isAll() bool { return n.Query.All && n.Fields.All && n.Cookies.All }

func (n *namesRead) addSets(sets caddyhttp.RawMatcherSets) {
	inMatchers(sets, func(outer string, value any) string {
		return eachMatcher(outer, value, func(name string, value any) string {
			n.add(name, value, outer == "not")
			return ""
		})
	})
}

func (n *namesRead) add(name string, value any, isNot bool) {
	n.addFields(name, value, (name == "header" || name == "header_regexp") && !isNot)
	if of, isMap := value.(map[string]any); isMap && name == "query" {
		n.Query.All = n.Query.All || len(of) == 0
		for key, value := range of {
			n.Query.All = n.Query.All || strings.Contains(key, "{")
			if sought := slices.Collect(texts(value)); isNot || slices.ContainsFunc(sought, hasPlaceholder) {
				n.Query.Add(key)
			} else {
				n.Query.AddSought(key, sought)
			}
		}
	}
	n.addCompared(name, value)
	for text := range texts(value) {
		n.addText(text)
		if isRule(name) {
			n.addRule(text)
		}
	}
}

// addFields notes the headers that something reads, each line of them or the first.
func (n *namesRead) addFields(name string, value any, each bool) {
	for _, field := range fieldsOf(name, value) {
		n.Fields.Add(field)
		if each {
			n.each = append(n.each, field)
		} else {
			n.once = append(n.once, field)
		}
	}
	n.addCookies(name, value)
}

// addText looks for placeholders.
func (n *namesRead) addText(text string) {
	n.regexp = n.regexp || strings.Contains(text, "{http.regexp.")
	for _, found := range queryRead.FindAllStringSubmatch(text, -1) {
		n.Query.Add(found[1])
	}
	for _, found := range fieldRead.FindAllStringSubmatch(text, -1) {
		if found[1] == "cookie" {
			n.Cookies.Add(found[2])
		}
	}
	rest := fieldRead.ReplaceAllString(queryRead.ReplaceAllString(text, ""), "")
	n.Query.All = n.Query.All || wholeRead.MatchString(rest)
	n.Raw = n.Raw || rawRead.MatchString(rest)
	n.Fields.All = n.Fields.All || strings.Contains(rest, "http.request.header.")
	n.Cookies.All = n.Cookies.All || strings.Contains(rest, "http.request.cookie.")
}

// addRule looks for names in CEL.
func (n *namesRead) addRule(rule string) {
	rule = namesHeader.ReplaceAllLiteralString(rule, "")
	together := puts.MatchString(rule)
	if callsQuery.MatchString(rule) {
		n.Query.All = n.Query.All || together
		for _, found := range literals.FindAllStringSubmatch(rule, -1) {
			n.Query.Add(found[1] + found[2])
		}
	}
	n.Fields.All = n.Fields.All || together && (callsHeader.MatchString(rule) || callsRegexp.MatchString(rule))
}

func (n *namesRead) done() *gate.Names {
	for _, field := range n.each {
		if gate.IsList(field) && !slices.Contains(n.once, field) {
			n.Lists = append(n.Lists, field)
		}
	}
	if n.IsNone() {
		return nil
	}
	return n.Names
}
