package gate

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What operators copy into another proxy leaves no identity header to its callers:
// each of ours is set there, and each familiar one taken out.
func TestLinesForOtherProxiesLeaveNoIdentityToCallers(t *testing.T) {
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(string(text), "## Behind nginx")
	page, _, _ = strings.Cut(page, "\n## ")
	blocks := strings.Split(page, "```\n")
	block := func(with string) string {
		n := slices.IndexFunc(blocks, func(b string) bool { return strings.Contains(b, with) })
		if n < 0 {
			t.Fatalf("no lines with %q", with)
		}
		return blocks[n]
	}
	nginx, traefik, envoy, removed := block("auth_request /gate"), block("forwardAuth:"), block("allowed_upstream_headers"), block("request_headers_to_remove")
	if !strings.HasPrefix(envoy, "allowed_headers: { patterns: [{ exact: x-forwarded-for }] }\n") || !strings.Contains(page, "`use_remote_address: true`") || !strings.Contains(page, "`trusted_proxies_strict`") {
		t.Error("envoy: the gate is not told who the caller is, or believes the caller")
	}
	var mutations []string
	for _, found := range regexp.MustCompile(`regex: "([^"]*)"`).FindAllStringSubmatch(block("remove_on_match:"), -1) {
		mutations = append(mutations, "(?:"+found[1]+")")
	}
	removes := regexp.MustCompile("^(?:" + strings.Join(mutations, "|") + ")$") // Envoy's match the whole of a name, in small letters

	_, expression, _ := strings.Cut(traefik, "authResponseHeadersRegex: ")
	expression, _, _ = strings.Cut(expression, "\n")
	taken := regexp.MustCompile(expression)

	for _, h := range DefaultHeaders {
		variable := strings.ReplaceAll(strings.ToLower(h.Name), "-", "_")
		_, short, _ := strings.Cut(variable, "x_auth_")
		for _, line := range []string{
			"auth_request_set $gate_" + short + " $upstream_http_" + variable + ";\n", "proxy_set_header " + h.Name + " $gate_" + short + ";\n",
		} {
			if !strings.Contains(nginx, line) {
				t.Errorf("nginx: %q is not there", line)
			}
		}
		if !strings.Contains(envoy, "{ exact: "+strings.ToLower(h.Name)+" }") {
			t.Errorf("envoy: %s is not set", h.Name)
		}
		takesAllSpellings(t, taken, h.Name)
		takesAllSpellings(t, removes, strings.ToLower(h.Name))
	}
	for _, name := range slices.Concat(familiar, elsewhere) {
		if !strings.Contains(nginx, "proxy_set_header "+name+" \"\";\n") {
			t.Errorf("nginx: %s stays", name)
		}
		if !regexp.MustCompile(`[\[ ]` + strings.ToLower(name) + `[\],]`).MatchString(removed) {
			t.Errorf("envoy: %s stays", name)
		}
		takesAllSpellings(t, taken, name)
		takesAllSpellings(t, removes, strings.ToLower(name))
	}
	for _, name := range []string{"Authorization", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Auth-Token", "X-User-Agent"} {
		if taken.MatchString(name) || removes.MatchString(strings.ToLower(name)) {
			t.Errorf("traefik or envoy: %s is none of them", name)
		}
	}
}

func takesAllSpellings(t *testing.T, taken *regexp.Regexp, name string) {
	t.Helper()
	for _, spelling := range []string{name, strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "."), strings.ReplaceAll(name, "-", "~")} {
		if !taken.MatchString(spelling) {
			t.Errorf("traefik or envoy: %s stays", spelling)
		}
	}
}
