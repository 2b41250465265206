// Package account knows how people prove who they are. It decides and hands
// writes back; the one thing it writes itself is a failed attempt, which must be
// remembered although the request is refused. It knows no token and no HTTP.
package account
