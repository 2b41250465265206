package caddymodule

import (
	"encoding/json"
	"regexp"
	"strings"
)

var callsPattern = regexp.MustCompile(`\bmatches\s*\(|_regexp\s*\(`)

// addCompared notes the texts that a matcher or a `map` compares an address with as it was
// sent, or what others have made, which may be one.
func (n *namesRead) addCompared(name string, value any) {
	of, _ := value.(map[string]any)
	switch {
	case name == "map":
		n.addMappings(value)
	case name == "vars" || name == "vars_regexp":
		for key, sought := range of {
			if !isAsSent(key) {
				continue
			}
			if pattern, isPattern := sought.(map[string]any); isPattern {
				n.Texts.Add(withoutSyntax(textOf(pattern["pattern"])))
			} else {
				n.Texts.Add(textOf(sought))
			}
		}
	case isRule(name):
		rule := textOf(value)
		if !readsAsSent(rule) && readsOther(name, rule) == "" {
			return
		}
		for _, found := range literals.FindAllStringSubmatch(rule, -1) {
			text := found[1] + found[2]
			if callsPattern.MatchString(rule) {
				text = withoutSyntax(strings.ReplaceAll(text, `\\`, `\`))
			}
			n.Texts.Add(text)
		}
	}
}

func (n *namesRead) addMappings(value any) {
	var of struct {
		Source   string `json:"source"`
		Mappings []struct {
			Input       string `json:"input"`
			InputRegexp string `json:"input_regexp"`
		} `json:"mappings"`
	}
	if text, err := json.Marshal(value); err != nil || json.Unmarshal(text, &of) != nil || !isAsSent(of.Source) {
		return
	}
	for _, mapping := range of.Mappings {
		n.Texts.Add(mapping.Input)
		n.Texts.Add(withoutSyntax(mapping.InputRegexp))
	}
}

// isAsSent is of what a matcher names, which is an address as it was sent, or was made of
// nobody knows what.
func isAsSent(named string) bool {
	return readsAsSent(named) || !strings.HasPrefix(named, "{http.request.")
}

func readsAsSent(text string) bool { return rawRead.MatchString(text) || wholeRead.MatchString(text) }

// withoutSyntax is what a pattern has of a text: what stands there as it is, or behind a
// backslash, or in brackets.
func withoutSyntax(pattern string) string {
	var text strings.Builder
	inClass := false
	for at := 0; at < len(pattern); at++ {
		c := pattern[at]
		switch {
		case c == '\\' && at+1 < len(pattern):
			at++
			if next := pattern[at]; strings.IndexByte("!'()*[]~:@&=+$,;%", next) >= 0 {
				text.WriteByte(next)
			}
		case inClass:
			if inClass = c != ']'; inClass {
				text.WriteByte(c)
			}
		case c == '[':
			inClass = true
		case strings.HasPrefix(pattern[at:], "(?"):
			at += max(0, strings.IndexAny(pattern[at:], ":>)"))
		case c == '{':
			at += max(0, strings.IndexByte(pattern[at:], '}'))
		case strings.IndexByte("()}*+?|^$.", c) < 0:
			text.WriteByte(c)
		}
	}
	return text.String()
}
