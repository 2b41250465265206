package remote

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// freshness is how long an answer may be used before it is asked for again, by
// its Cache-Control (RFC 9111 §5.2.2) within our own bounds: an issuer that says
// zero is not asked without pause, and one that says a year is asked
// within the hour.
func freshness(header http.Header) time.Duration {
	fresh := freshDefault
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return freshLeast
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err == nil {
				fresh = time.Duration(seconds) * time.Second
			}
		}
	}
	return min(max(fresh, freshLeast), freshMost)
}

// oneLine is an error's text as a log line can bear it.
func oneLine(err error) string {
	const most = 300
	text := strings.ReplaceAll(err.Error(), "\n", ": ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
