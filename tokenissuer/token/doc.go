// Package token makes and verifies signed tokens. It is pure: keys and the
// time are given, nothing is stored or fetched, and it knows neither clients
// nor accounts.
package token
