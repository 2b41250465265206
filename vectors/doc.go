// Package vectors holds the gate against tokens and keys that others have made for testing such programs.
package vectors
