package gate

import (
	"net/http"
	"slices"
)

// unclearFields reports whether a header stands there twice, of which some take the first
// and some the last, or is beside another one that CGI, and whoever names headers as it
// does, takes for the same (RFC 3875 §4.1.18).
func (n *Names) unclearFields(h http.Header) bool {
	if n.Fields.isNone() {
		return false
	}
	for field, lines := range h {
		if len(lines) > 1 && n.isOne(field) {
			return true
		}
		if slices.ContainsFunc(n.Fields.names, func(name string) bool { return name != field && isSameToCGI(field, name) }) {
			return true
		}
	}
	return n.Fields.All && hasTwinFields(h)
}

// isOne is of a wanted header that is one value.
func (n *Names) isOne(field string) bool {
	if slices.Contains(n.Fields.names, field) {
		return !slices.Contains(n.Lists, field)
	}
	return n.Fields.All && !IsList(field)
}

// mostOddFields is how many fields beyond letters, digits and - are compared with the
// rest. Nobody honest sends a dozen.
const mostOddFields = 200

// hasTwinFields is of headers, of any name, that are one to CGI.
func hasTwinFields(h http.Header) bool {
	var odd [mostOddFields]uint64
	size := 0
	for field := range h {
		if isPlainField(field) {
			continue
		}
		if size == mostOddFields {
			return true
		}
		odd[size] = sumToCGI(field)
		size++
	}
	sums := odd[:size]
	if isTwice(sums) {
		return true
	}
	if size == 0 {
		return false
	}
	for field := range h { // two plain ones that are the same are one already
		if _, found := slices.BinarySearch(sums, sumToCGI(field)); found && isPlainField(field) {
			return true
		}
	}
	return false
}

func sumToCGI(field string) uint64 {
	sum := emptySum
	for i := range len(field) {
		sum = sumWith(sum, foldedBytes[field[i]])
	}
	return sum
}

// lists are the headers of which several lines are one list (RFC 9110 §5.3), in what
// people's and their proxies' programs send, in order.
var lists = []string{
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Baggage", "Cache-Control", "Connection", "Forwarded", "If-Match", "If-None-Match",
	"Pragma", "Prefer", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol", "Te", "Tracestate", "Upgrade", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
}

// IsList says that several lines of a header are one list: a matcher that looks at each of
// them, and finds in none what it is for, is right.
func IsList(field string) bool {
	_, found := slices.BinarySearch(lists, field)
	return found
}

// isSameToCGI is of two headers that become one environment variable.
func isSameToCGI(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if foldedBytes[a[i]] != foldedBytes[b[i]] {
			return false
		}
	}
	return true
}

func isPlainField(field string) bool {
	for i := range len(field) {
		if foldedBytes[field[i]] == '-' && field[i] != '-' {
			return false
		}
	}
	return true
}
