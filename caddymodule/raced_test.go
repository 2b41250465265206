//go:build race

package caddymodule

// cached is how many tokens the gate knows while streams are ended. Making them
// takes ten times as long under the race detector.
const cached = 1_000
