package caddymodule

import (
	"encoding/json"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// comparison is a text that something is compared with, which has this name, or stands in
// this rule.
type comparison struct {
	read, text      string
	isText, pattern bool // in a rule it may be both
}

// readInFront is of a literal in a rule that one thing alone is compared with.
var readInFront = regexp.MustCompile(`(\{http\.request\.[^{}]+\})\s*(?:\.\w+\s*\(|[=!]=)\s*r?$`)

// comparisons are those of a matcher, or of a `map`.
func comparisons(name string, value any) (all []comparison) {
	of, _ := value.(map[string]any)
	switch {
	case name == "map":
		return mappings(value)
	case name == "vars" || name == "vars_regexp":
		for read, sought := range of {
			pattern, isPattern := sought.(map[string]any)
			if isPattern {
				sought = pattern["pattern"]
			}
			for text := range texts(sought) {
				all = append(all, comparison{read, text, !isPattern, isPattern})
			}
		}
	case isRule(name):
		rule := textOf(value)
		for _, at := range literals.FindAllStringSubmatchIndex(rule, -1) {
			read, text := rule, strings.Trim(rule[at[0]:at[1]], rule[at[0]:at[0]+1])
			if named := readInFront.FindStringSubmatch(rule[:at[0]]); named != nil {
				read = named[1]
			}
			all = append(all, comparison{read, strings.ReplaceAll(text, `\\`, `\`), true, true})
		}
	}
	return all
}

func mappings(value any) (all []comparison) {
	var of struct {
		Source   string `json:"source"`
		Mappings []struct {
			Input       string `json:"input"`
			InputRegexp string `json:"input_regexp"`
		} `json:"mappings"`
	}
	if text, err := json.Marshal(value); err != nil || json.Unmarshal(text, &of) != nil {
		return nil
	}
	for _, mapping := range of.Mappings {
		isPattern := mapping.InputRegexp != ""
		all = append(all, comparison{of.Source, mapping.Input + mapping.InputRegexp, !isPattern, isPattern})
	}
	return all
}

// addCompared notes the texts that a matcher or a `map` compares an address with as it was
// sent, or what others have made, which may be one.
func (n *namesRead) addCompared(name string, value any) {
	for _, c := range comparisons(name, value) {
		if !readsAsSent(c.read) && (isRule(name) && readsOther(name, c.read) == "" || !isRule(name) && strings.HasPrefix(c.read, "{http.request.")) {
			continue
		}
		t := spelled{texts: &n.Texts, inQuery: c.isOfQuery()}
		if c.isText {
			t.addText(c.text)
		}
		if c.pattern {
			t.addPattern(c.text)
		}
	}
}

func readsAsSent(text string) bool { return rawRead.MatchString(text) || wholeRead.MatchString(text) }

var beginsPath = regexp.MustCompile(`^(?:\(\?\w+[:)]|[\^(])*\\?/`)

// isOfQuery reports whether a text may be of a query from its begin on.
func (c *comparison) isOfQuery() bool {
	isPath := beginsPath.MatchString(c.text)
	return rawRead.MatchString(c.read) && !isPath || wholeRead.MatchString(c.read) && !(isPath && (strings.Contains(c.read, "path") || rawRead.MatchString(c.read)))
}

// spelled takes a text apart. What stands behind a ? or a = is of a query.
type spelled struct {
	texts   *gate.Texts
	inQuery bool
}

func (s *spelled) addText(text string) {
	if end := strings.IndexAny(text, "?="); end >= 0 && !s.inQuery {
		s.texts.AddQuery(text[end:])
		text = text[:end]
	}
	s.add(text)
}

func (s *spelled) add(text string) {
	if s.inQuery {
		s.texts.AddQuery(text)
	} else {
		s.texts.Add(text)
	}
}

// addPattern notes what stands in a pattern for itself.
func (s *spelled) addPattern(pattern string) {
	if re, err := syntax.Parse(pattern, syntax.Perl); err == nil {
		s.walk(re, []string{""})
	}
}

// walk goes through a pattern with the begins of escapes that may stand in front of it, and
// returns those at its end: in `%(?:40|2C)` there are two.
func (s *spelled) walk(re *syntax.Regexp, before []string) (behind []string) {
	var each []string
	switch re.Op {
	case syntax.OpLiteral:
		each = []string{string(re.Rune)}
	case syntax.OpCharClass:
		each = membersOf(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return []string{""}
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			before = s.walk(sub, before)
		}
		return before
	default:
		for _, sub := range re.Sub {
			behind = append(behind, s.walk(sub, before)...)
		}
		if re.Op != syntax.OpAlternate && re.Op != syntax.OpPlus {
			behind = append(behind, before...)
		}
	}
	for _, begin := range before {
		for _, text := range each {
			s.addText(begin + text)
			behind = append(behind, beginOfEscape.FindString(begin+text))
		}
	}
	s.inQuery = s.inQuery || slices.ContainsFunc(each, func(text string) bool { return strings.ContainsAny(text, "?=") })
	slices.Sort(behind)
	return slices.Compact(behind)
}

var beginOfEscape = regexp.MustCompile(`%[0-9a-fA-F]?$`)

// membersOf are the characters that a class tells from others: its own, or the others where
// these are fewer. Of those beyond ASCII not more than a few.
func membersOf(class []rune) (all []string) {
	if size := len(class); size > 0 && class[0] == 0 && class[size-1] > 0x7f { // of `[^/@]` the others
		var others []rune
		for i := 1; i+1 < size; i += 2 {
			others = append(others, class[i]+1, class[i+1]-1)
		}
		class = others
	}
	for i := 0; i+1 < len(class); i += 2 {
		for r := class[i]; r <= class[i+1] && r-class[i] <= 0x7f; r++ {
			if r != 'ſ' && r != '\u212a' { // which (?i) takes for s and k
				all = append(all, string(r))
			}
		}
	}
	return all
}
