package caddymodule

import (
	"os"
	"strings"
	"testing"
)

// Who is sent to another block finds the word there.
func TestWordsStandWhereTheHintsSay(t *testing.T) {
	page, err := os.ReadFile("../docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	for word, home := range homes {
		for place := range strings.SplitSeq(home, ", ") {
			heading := map[string]string{
				"the global option token_issuer": "## Global option `token_issuer`", "or with a text the global option token_issuer": "## Global option `token_issuer`",
				"a client of token_issuer": "## `client`", "or a client of token_issuer": "## `client`",
				"an auth_source of token_issuer": "## `auth_source`",
				"a token_gate":                   "## Directive `token_gate`",
				"an issuer of a token_gate":      "## `issuer`", "an issuer of one": "## `issuer`",
			}[place]
			_, block, found := strings.Cut(string(page), heading+"\n")
			block, _, _ = strings.Cut(block, "\n## ")
			if heading == "" || !found || !strings.Contains(block, "\n\t"+word+" ") && !strings.Contains(block, "\n\t"+word+"\n") {
				t.Errorf("%s does not stand in %s", word, place)
			}
		}
	}
}
