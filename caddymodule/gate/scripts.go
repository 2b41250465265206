package gate

import (
	"net/http"
	"slices"
	"strings"
)

// mostScripts is how many scripts a path is looked through for. Nobody honest names two.
const mostScripts = 4

// scripts are what the names of programs end in that get the rest of a path.
var scripts = []string{
	".php", ".php3", ".php4", ".php5", ".php7", ".php8", ".phtml", ".phar", ".pht", ".cgi", ".fcgi", ".pl", ".py",
	".asp", ".aspx", ".ashx", ".asmx", ".axd", ".svc", ".cfm", ".cfml", ".cfc", ".jsp",
}

// WithScripts are the readings of a request, and each of them for the script in its path:
// a server finds that, and gives it what stands behind its name, if only a slash (RFC 3875
// §4.1.5). Who names in these texts what stands behind a script tells it apart, and means it
// as it is written. Of a path with many scripts complete is false.
func WithScripts(r *http.Request, others []*http.Request, texts string) (all []*http.Request, complete bool) {
	if len(others) == 0 && scriptIn(r.URL.Path, 0) < 0 {
		return others, true
	}
	for _, u := range append(slices.Clip(others), r) {
		path := u.URL.Path
		for from, found := 0, 0; ; found++ {
			end := scriptIn(path, from)
			if end < 0 {
				break
			}
			if found == mostScripts {
				return nil, false
			}
			if !namesBehind(texts, path[:end]) {
				others = append(others, at(u, path[:end], u.URL.RawQuery))
			}
			from = end
		}
	}
	return others, true
}

// HasScript reports whether a text has the end of a script's name.
func HasScript(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(scripts, func(end string) bool { return strings.Contains(text, end) })
}

// scriptIn is where the next name of a script ends that has something behind it, -1 for
// nowhere. PHP over FastCGI is found wherever its name ends, others in front of a slash.
func scriptIn(path string, from int) int {
	for ; from < len(path); from++ {
		if path[from] != '.' {
			continue
		}
		for _, end := range scripts {
			to := from + len(end)
			if to < len(path) && (path[to] == '/' || end == ".php") && strings.EqualFold(path[from:to], end) {
				return to
			}
		}
	}
	return -1
}

// namesBehind reports whether texts go on with a slash behind the name of a script.
func namesBehind(texts, script string) bool {
	if texts == "" {
		return false
	}
	script = strings.ToLower(script)
	name := script[strings.LastIndexByte(script, '/')+1:]
	texts = strings.ToLower(strings.ReplaceAll(texts, `\`, ""))
	return strings.Contains(texts, "/"+name+"/") || strings.Contains(texts, "*"+name[strings.LastIndexByte(name, '.'):]+"/")
}
