// Package login signs people in to the sites behind a gate.
//
// It sends browsers to an issuer's authorization endpoint, takes the code they
// come back with, and keeps the tokens in a cookie that only it can read. It
// decides nothing about a token: that is the gate's, whatever it came in.
package login
