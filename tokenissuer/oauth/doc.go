// Package oauth holds the words of the OAuth 2 protocol: parameters read from
// requests, error codes, scopes. It knows no client, no token, no store.
package oauth
