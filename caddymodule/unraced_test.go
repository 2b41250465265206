//go:build !race

package caddymodule

// cached is how many tokens the gate knows while streams are ended.
const cached = 10_000
