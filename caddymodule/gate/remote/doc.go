// Package remote asks issuers outside this process: for the keys they publish,
// what an opaque token of theirs stands for, and tokens for people who signed in. It decides nothing about a
// request, and goes nowhere that the operator did not name.
package remote
