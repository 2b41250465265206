// Package client knows the registered applications and judges how a request
// proves to be one of them (RFC 6749 §2.3). It issues nothing and stores
// nothing.
package client
