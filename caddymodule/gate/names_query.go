package gate

import (
	"net/url"
	"slices"
	"strings"
)

// mostPairs is how many pairs of a query PHP reads (max_input_vars). Go finds nothing at
// all in one of more than 10,000, nor in more than 3,000 cookies.
const mostPairs = 1000

// unclearQuery reports whether a wanted name may be another thing to a backend: it stands
// there twice or spelled in another way, or beside a broken pair, with which Caddy's
// matcher finds nothing in the whole query. What no name is of is nobody's.
func (w *Wanted) unclearQuery(query string) bool {
	if query == "" || w.isNone() {
		return false
	}
	if strings.Count(query, "&")+strings.Count(query, ";") >= mostPairs || w.All && isUnclearWhole(query) {
		return true
	}
	var met, joined met
	found, broken := false, strings.Contains(query, "#") // at which some end it
	for pair := range strings.SplitSeq(query, "&") {
		broken = broken || isBroken(pair)
		for part := range strings.FieldsFuncSeq(pair, isDivider) {
			name, value, _ := strings.Cut(part, "=")
			i := w.find(name)
			if i < 0 {
				continue
			}
			if w.isAnother(i, name, value) {
				continue
			}
			if !w.isSpelled(name) || !isSameValue(value) {
				return true
			}
			if met.again(i) && (w.isOne(i) || !joined.again(i) && w.mayBeSought(i, query)) {
				return true
			}
			found = true
		}
		if found && broken {
			return true
		}
	}
	return false
}

// isAnother is of an element of a list beside the one that a matcher looks at, which has none
// of the values that it looks for.
func (w *Wanted) isAnother(i int, name, value string) bool {
	if w.sought[i] == nil || w.isSpelled(name) || !isSibling(name, w.names[i]) || !isSameValue(value) {
		return false
	}
	plain, err := url.QueryUnescape(value)
	return err == nil && !slices.ContainsFunc(w.sought[i], func(sought string) bool { return strings.Trim(sought, "*") == "" || sought == plain })
}

// isOne is of a name of which one value is read, or that shares its place in met.
func (w *Wanted) isOne(i int) bool { return w.sought[i] == nil || i >= 64*len(met{}) }

// mayBeSought reports whether the values of a name, which are none of those that its
// matchers look for, may be one when they are put together: ASP.NET does so with commas.
func (w *Wanted) mayBeSought(i int, query string) bool {
	for part := range strings.FieldsFuncSeq(query, endsPair) { // or one that shares its form, and is read alone
		if name, _, _ := strings.Cut(part, "="); w.find(name) == i && !isSpelled(name, w.names[i]) {
			return true
		}
	}
	return slices.ContainsFunc(w.sought[i], func(sought string) bool {
		for part := range strings.FieldsFuncSeq(query, endsPair) {
			name, value, _ := strings.Cut(part, "=")
			if w.find(name) != i {
				continue
			}
			if plain, err := url.QueryUnescape(value); err == nil && !strings.Contains(sought, plain) {
				return false
			}
		}
		return true
	})
}

func endsPair(c rune) bool { return c == '&' || isDivider(c) }

// isDivider is of what some find the end of a pair at, beside &.
func isDivider(c rune) bool { return c == ';' || c == '#' }

// isBroken is of a pair that Go does not take.
func isBroken(pair string) bool {
	if strings.Contains(pair, ";") {
		return true
	}
	for at := strings.IndexByte(pair, '%'); at >= 0; at = strings.IndexByte(pair, '%') {
		if !isEscape(pair[at:]) {
			return true
		}
		pair = pair[at+3:]
	}
	return false
}

// isUnclearWhole is of a query for who reads all of it, or names that nobody knows before:
// nothing in it may be spelled otherwise than it is meant, and no name be there twice but
// for what Rails and PHP read as a list.
func isUnclearWhole(query string) bool {
	if strings.Contains(query, "#") || isBroken(query) || hasNeedless(query) || strings.Contains(query, "%00") {
		return true
	}
	var sums sums
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		switch open, isList := brackets(name); {
		case open, withoutBlanks(name) != name, endsBlank(name):
			return true
		case pair != "" && !isList:
			sums.add(name)
		}
	}
	return sums.isTwice()
}

// isSameValue is of a value that has one reading.
func isSameValue(value string) bool {
	plain, err := url.QueryUnescape(value)
	return err == nil && isTrimmed(plain)
}

// met are the names that were there, by their number. Beyond 1,024 two may share a place.
type met [16]uint64

func (m *met) again(i int) bool {
	place, bit := &m[i/64%len(m)], uint64(1)<<(i%64)
	was := *place&bit != 0
	*place |= bit
	return was
}

// sums are of names as the least strict reads them.
type sums struct {
	all  [mostPairs]uint64
	size int
}

// add takes one in (FNV-1a). Two names of one sum are taken for the same, which asks for a
// token and lets nobody by.
func (s *sums) add(name string) {
	sum := emptySum
	for name != "" {
		c, width := lenient(name)
		sum = sumWith(sum, formOfByte(c))
		name = name[width:]
	}
	s.all[s.size] = sum
	s.size++
}

func (s *sums) isTwice() bool { return isTwice(s.all[:s.size]) }

const emptySum uint64 = 14695981039346656037

func sumWith(sum uint64, c byte) uint64 { return (sum ^ uint64(c)) * 1099511628211 }

// isTwice sorts sums, and reports whether one of them is there again.
func isTwice(sums []uint64) bool {
	slices.Sort(sums)
	for i := 1; i < len(sums); i++ {
		if sums[i] == sums[i-1] {
			return true
		}
	}
	return false
}
