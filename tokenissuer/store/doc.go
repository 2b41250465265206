// Package store keeps the issuer's records in a SQL database. It decides
// nothing about the protocol: it reads rows, and applies a list of conditional
// writes as one transaction. Secrets and tokens reach it only as hashes.
package store
