package token

import "encoding/json"

// Size is about how many bytes of memory the claims take, all of them included.
func (c *Claims) Size() int64 {
	size := int64(256 + len(c.Issuer) + len(c.Subject) + len(c.ClientID) + len(c.ID) + len(c.Type))
	for _, list := range [][]string{c.Audience, c.Scopes} {
		for _, s := range list {
			size += 16 + int64(len(s))
		}
	}
	return size + sizeOf(c.Every())
}

// sizeOf follows Go's own layouts: an interface is two words, a text two more and
// its bytes rounded up, a map's slot both and its share of the empty ones.
func sizeOf(value any) int64 {
	switch v := value.(type) {
	case string:
		return 16 + rounded(len(v))
	case json.Number:
		return 16 + rounded(len(v))
	case []any:
		size := int64(24)
		for _, element := range v {
			size += 16 + sizeOf(element)
		}
		return size
	case map[string]any:
		size := int64(96)
		for name, element := range v {
			size += 64 + rounded(len(name)) + sizeOf(element)
		}
		return size
	default:
		return 0
	}
}

func rounded(n int) int64 { return int64(n+15) &^ 15 }
