package gate

import (
	"net/http"
	"slices"
)

// Names are what a gate's matchers read of a request by name. Where what stands there is
// another thing for who reads it next, a matcher's no counts for nothing.
type Names struct {
	Query   Wanted
	Fields  Wanted // of headers, in their canonical form
	Cookies Wanted

	Lists []string // those of Fields of which a matcher looks at each line
	Raw   bool     // the address is read as it was sent
	Texts Texts    // that it, or a part of it, is compared with
}

// Wanted are names that somebody reads. All is of who reads them whole, or names them only
// when he does.
type Wanted struct {
	All    bool
	Values bool // of cookies: also who looks for a value, of a name that nobody knows
	names  []string
	forms  []string // of names, to who is least strict, in the same order

	// sought is what matchers look for in each value of a name; nil: somebody reads one alone.
	sought [][]string
}

// Add notes a name of which one value is read.
func (w *Wanted) Add(name string) { w.sought[w.place(name)] = nil }

// AddSought notes a name of which a matcher looks at each value, for any of these: it is
// right where it finds none.
func (w *Wanted) AddSought(name string, values []string) {
	isNew := !slices.Contains(w.names, name)
	if i := w.place(name); isNew || w.sought[i] != nil {
		w.sought[i] = append(w.sought[i], values...)
	}
}

// place is where a name stands.
func (w *Wanted) place(name string) int {
	if i := slices.Index(w.names, name); i >= 0 {
		return i
	}
	w.names, w.forms, w.sought = append(w.names, name), append(w.forms, formOf(name)), append(w.sought, nil)
	return len(w.names) - 1
}

func (w *Wanted) addAll(other *Wanted) {
	w.All, w.Values = w.All || other.All, w.Values || other.Values
	for i, name := range other.names {
		if sought := other.sought[i]; sought != nil {
			w.AddSought(name, sought)
		} else {
			w.Add(name)
		}
	}
}

// isNone says that nothing is read.
func (w *Wanted) isNone() bool { return !w.All && len(w.names) == 0 }

// find is which of the names a name is to who is least strict, -1 where it is none.
func (w *Wanted) find(name string) int {
	name = withoutBlanks(name)
	for i, form := range w.forms {
		if hasForm(name, form) {
			return i
		}
	}
	return -1
}

// AddAll notes what others read as well.
func (n *Names) AddAll(other *Names) {
	n.Query.addAll(&other.Query)
	n.Fields.addAll(&other.Fields)
	n.Cookies.addAll(&other.Cookies)
	n.Raw = n.Raw || other.Raw
	n.Texts.addAll(&other.Texts)
}

// IsNone says that nothing is read by name.
func (n *Names) IsNone() bool {
	return n.Query.isNone() && n.Fields.isNone() && n.Cookies.isNone() && !n.Raw
}

// Unclear reports whether one of the names may stand for something else in a request, or
// in another reading of it, to a backend than to Caddy.
func (n *Names) Unclear(r *http.Request, others []*http.Request) bool {
	if n.Raw && n.Texts.isOddAddress(r.URL) || n.Query.All && n.Texts.isOddQuery(r.URL.RawQuery) {
		return true
	}
	if n.Query.unclearQuery(r.URL.RawQuery) || n.unclearFields(r.Header) || n.Cookies.unclearCookies(r.Header["Cookie"]) {
		return true
	}
	return slices.ContainsFunc(others, func(u *http.Request) bool {
		return u.URL.RawQuery != r.URL.RawQuery && n.Query.unclearQuery(u.URL.RawQuery)
	})
}

// isSpelled reports whether a name is sent as one of them.
func (w *Wanted) isSpelled(sent string) bool {
	return slices.ContainsFunc(w.names, func(name string) bool { return isSpelled(sent, name) })
}
