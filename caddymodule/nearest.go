package caddymodule

import (
	"fmt"
	"strings"
)

// didYouMean is the hint ", did you mean …?" for a word that is close to a
// right one, or the beginning of one, upper and lower case alike, else "".
func didYouMean(got string, right []string) string {
	best, least := "", 4*(len(got)/3+2)
	low := strings.ToLower(got)
	const long = 4 // letters that are more than a common beginning
	for _, w := range right {
		if rest, cut := strings.CutPrefix(strings.ToLower(w), low); cut && len(low) >= long && strings.HasPrefix(rest, "_") {
			return fmt.Sprintf(", did you mean %s?", w)
		}
	}
	for _, w := range right {
		// Of two equally far the one that begins alike: "of" is nearer to off than to on.
		lowW := strings.ToLower(w)
		if d := 4*editDistance(low, lowW) - min(3, commonPrefix(low, lowW)); d < least {
			best, least = w, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %s?", best)
}

// editDistance is the number of letters to add, drop, replace or swap with the
// next one to make a from b.
func editDistance(a, b string) int {
	var before, prev []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, prev, row = prev, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

func commonPrefix(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
