// Package openssl computes RSA signatures with OpenSSL's libcrypto, which it
// loads when it is first asked to, without cgo.
//
// Only builds with the tag openssl can: what loads a library makes the
// executable a dynamic one. In all others every function says so.
//
// Keys given to it are copied into the library's memory, which is freed when
// nobody holds the returned function any more. It parses nothing that strangers
// send but signatures, and knows nothing of tokens.
package openssl
