package token

import "unsafe"

const (
	usualFields = 4  // of a token's header
	usualClaims = 12 // of its payload
	manyMembers = 32 // from here on a map knows sooner whether a name is new
)

// members are those of an object, in the order they stand in: for as few as a token
// has, quicker to make and to ask than a map.
type members []member

type member struct {
	name  string
	value any
}

// get returns the value of a member, and whether there is one.
func (m members) get(name string) (any, bool) {
	for i := range m {
		if m[i].name == name {
			return m[i].value, true
		}
	}
	return nil, false
}

// object is the same as a map.
func (m members) object() map[string]any {
	all := make(map[string]any, len(m))
	for _, one := range m {
		all[one.name] = one.value
	}
	return all
}

// gathered are members that were read.
type gathered struct {
	all   members
	names map[string]struct{} // of all, once they are many: strangers write headers
}

// add says whether the name is new.
func (g *gathered) add(name string, value any) bool {
	if len(g.all) < manyMembers {
		if _, twice := g.all.get(name); twice {
			return false
		}
	} else if !g.isNew(name) {
		return false
	}
	g.all = append(g.all, member{name, value})
	return true
}

func (g *gathered) isNew(name string) bool {
	if g.names == nil {
		g.names = make(map[string]struct{}, 2*manyMembers)
		for _, one := range g.all {
			g.names[one.name] = struct{}{}
		}
	}
	before := len(g.names)
	g.names[name] = struct{}{}
	return len(g.names) > before
}

// asString and asBytes read one as the other without a copy. Nobody may change the
// bytes from then on.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) } //nolint:gosec // b stays as it is, says who calls

func asBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) } //nolint:gosec // nobody writes into them, says who calls
