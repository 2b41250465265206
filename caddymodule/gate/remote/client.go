package remote

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	keysMost   = 1 << 20 // bytes of a key set or a metadata document
	errorMost  = 8 << 10 // bytes of an answer that says no
	sideBySide = 32      // introspections at a time
)

// newClient makes a client that follows nobody: no redirect, no cookie, no plain
// text but to this machine. A proxy of the environment is used, as Caddy's
// reverse_proxy does. It speaks HTTP/1.1: one connection of HTTP/2 that has gone
// dead would take all questions with it, until the system notices.
func newClient(roots *x509.CertPool, plain bool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment, // never for loopback hosts
			DialContext:            dialer(plain).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    5 * time.Second,
			ResponseHeaderTimeout:  5 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true, // what is counted is what arrives
			MaxIdleConnsPerHost:    sideBySide, IdleConnTimeout: time.Minute,
		},
		// A redirect leads to a host that nobody named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// get fetches a document of at most keysMost bytes.
func get(ctx context.Context, client *http.Client, address string) ([]byte, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, fail(Malformed, "its address is no URL")
	}
	r.Header.Set("Accept", "application/json, application/jwk-set+json")
	r.Close = true // the next one is minutes away
	return read(client, r, keysMost)
}

// read sends a request and reads what comes with 200, as far as it may go.
func read(client *http.Client, r *http.Request, most int64) ([]byte, http.Header, error) {
	r.Header.Set("User-Agent", "gatehouse")
	response, err := client.Do(r)
	if err != nil {
		return nil, nil, network(err)
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode/100 == 3:
		return nil, nil, fail(Redirected, "answered %d, and redirects are not followed", response.StatusCode)
	case response.StatusCode != http.StatusOK:
		return nil, nil, &Failure{Result: Status, Status: response.StatusCode, words: "answered " + strconv.Itoa(response.StatusCode), code: codeIn(response.Body)}
	case response.ContentLength > most:
		return nil, nil, tooLarge(most)
	}
	var text bytes.Buffer
	// Past the limit nothing is read: the connection is closed with the rest in it.
	n, err := text.ReadFrom(io.LimitReader(response.Body, most+1))
	switch {
	case err != nil:
		return nil, nil, network(err)
	case n > most:
		return nil, nil, tooLarge(most)
	}
	return text.Bytes(), response.Header, nil
}

// codeIn is the error code of an answer, "" where it is no answer of OAuth's.
func codeIn(body io.Reader) string {
	var answer struct {
		Error string `json:"error"`
	}
	text, err := io.ReadAll(io.LimitReader(body, errorMost))
	if err != nil || json.Unmarshal(text, &answer) != nil {
		return ""
	}
	return answer.Error
}

func tooLarge(most int64) error { return fail(TooLarge, "the answer is over %d KiB", most>>10) }
