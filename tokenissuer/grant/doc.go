// Package grant decides what a request at the token endpoint has earned, one
// file a grant (RFC 6749 §4, §6). A grant reads and decides: it signs nothing,
// writes nothing and does not know which dialect is spoken.
package grant
