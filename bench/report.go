package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// comparison prints the medians over the rounds, and of the difference to the
// floor in the same round: the figure that a busy machine disturbs least.
func comparison(out io.Writer, mode string, targets []*server, results [][]result) {
	what := "request"
	if mode == "token" {
		what = mode
	}
	fmt.Fprintf(out, "\n| %s | CPU us/%s | (min-max) | over | the floor by | (min-max) | %ss/s | p50 ms | p99 ms | RSS MiB | errors |\n|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|\n", mode, what, what)
	for i, t := range targets {
		each := column(results[i], result.each)
		floor := floorOf(targets, i)
		over := make([]float64, len(each))
		for round := range each {
			over[round] = results[i][round].each() - results[floor][round].each()
		}
		slices.Sort(over)
		slices.Sort(each)
		errors := 0
		for _, r := range results[i] {
			errors += r.errors
		}
		fmt.Fprintf(out, "| %s | **%.1f** | %.1f-%.1f | %s | **%+.1f** | %+.1f..%+.1f | %.0f | %.2f | %.2f | %.0f | %d |\n", t.name,
			median(each), each[0], each[len(each)-1], targets[floor].name, median(over), over[0], over[len(over)-1],
			median(column(results[i], result.rate)), median(column(results[i], func(r result) float64 { return milliseconds(r.p50) })), median(column(results[i], func(r result) float64 { return milliseconds(r.p99) })),
			median(column(results[i], func(r result) float64 { return r.memory })), errors)
	}
	fmt.Fprintln(out)
}

// floorOf is the target that number i is compared with: the least an issuer with
// the same algorithm can cost, where that is measured too, or else the first.
func floorOf(targets []*server, i int) int {
	for n, t := range targets {
		if t.name == "least-"+targets[i].algorithm {
			return n
		}
	}
	return 0
}

func column(results []result, of func(result) float64) []float64 {
	var out []float64
	for _, r := range results {
		out = append(out, of(r))
	}
	return out
}

func median(x []float64) float64 {
	y := slices.Sorted(slices.Values(x))
	n := len(y)
	if n == 0 {
		return 0
	}
	return (y[(n-1)/2] + y[n/2]) / 2
}

func percentile(x []time.Duration, p int) time.Duration {
	y := slices.Sorted(slices.Values(x))
	if len(y) == 0 {
		return 0
	}
	return y[min(len(y)-1, len(y)*p/100)]
}
