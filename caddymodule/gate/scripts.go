package gate

import (
	"net/http"
	"strings"
)

// mostScripts is how many scripts the readings of a request are looked through for, all
// together. Nobody honest names more than one or two.
const mostScripts = 8

// scripts are what the names of programs end in that get the rest of a path.
var scripts = []string{
	".php", ".php3", ".php4", ".php5", ".php7", ".php8", ".phtml", ".phar", ".pht", ".cgi", ".fcgi", ".pl", ".py",
	".asp", ".aspx", ".ashx", ".asmx", ".axd", ".svc", ".cfm", ".cfml", ".cfc", ".jsp",
}

// Script is a request for the script in a path: a server finds that, and gives it what stands
// behind its name, if only a slash (RFC 3875 §4.1.5). Unnamed is the same path with a name
// that is no script's. Who answers As otherwise than Of, and Unnamed as As, means the script
// with what stands behind it (`not path /index.php/public/*`); who answers Of and Unnamed
// alike has not thought of it.
type Script struct{ Of, As, Unnamed *http.Request }

// Scripts are those in the paths of a request and its other readings; with many of them
// complete is false.
func Scripts(r *http.Request, others []*http.Request) (found []Script, complete bool) {
	for n := -1; n < len(others); n++ {
		u := r
		if n >= 0 {
			u = others[n]
		}
		path := u.URL.Path
		for dot := range len(path) {
			if path[dot] != '.' {
				continue
			}
			for _, end := range scripts {
				to := dot + len(end)
				if !isScript(path, dot, end) {
					continue
				}
				if len(found) == mostScripts {
					return nil, false
				}
				unnamed := path[:dot+1] + strings.Repeat("x", to-dot-1) + path[to:]
				found = append(found, Script{u, at(u, path[:to], u.URL.RawQuery), at(u, unnamed, u.URL.RawQuery)})
			}
		}
	}
	return found, true
}

// isScript reports whether a name ends so that has something behind it: a slash, or anything
// behind `.php`, where a FastCGI client cuts wherever it stands.
func isScript(path string, dot int, end string) bool {
	to := dot + len(end)
	return to < len(path) && (path[to] == '/' || end == ".php") && strings.EqualFold(path[dot:to], end)
}
