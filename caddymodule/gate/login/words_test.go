package login

import (
	"maps"
	"slices"
	"testing"
)

func TestPagesSayTheSameInEveryLanguage(t *testing.T) {
	t.Parallel()
	keys := slices.Sorted(maps.Keys(languages[0]))
	for _, l := range languages {
		if got := slices.Sorted(maps.Keys(l)); !slices.Equal(got, keys) {
			t.Errorf("%s: %v, want %v", l["language"], got, keys)
		}
		for key, text := range l {
			if text == "" {
				t.Errorf("%s: %s is empty", l["language"], key)
			}
		}
	}
	for _, page := range []string{"cookies", "foreign", "stale", "denied", "loop", "unfit", "unavailable", "forbidden", "changing", "logout", "leaving", "bye", "unknown"} {
		for _, part := range []string{".title", ".text", ".button"} {
			if languages[0][page+part] == "" {
				t.Errorf("%s has no%s", page, part)
			}
		}
	}
}
