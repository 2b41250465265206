// Package hashing makes password hashes and compares passwords with them, in
// processes of its own where it can start some. It knows no account and keeps
// no hash.
package hashing
