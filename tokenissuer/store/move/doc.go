// Package move carries all records from one database to another. It knows every
// table and column, and nothing of what they are for.
//
// An export is lines of JSON in UTF-8, each ended by a line feed:
//
//	{"format":"gatehouse-export","version":1}
//	{"table":"accounts","columns":["n","id",…]}     every table, also an empty one, in a fixed order
//	[1,"5e3…","alice",…]                            a row, its values in the order of the columns
//	…
//	{"end":{"accounts":1,…},"sha256":"…"}           how many rows each table has, and the hash of all lines before
//
// Rows ascend by their first column, or their first two. A number is a JSON integer,
// a text a string, bytes a string of base64 (RFC 4648 §4), an absent value null. The
// same records make the same bytes, whichever database they come from.
package move
