package caddymodule

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// question is what an operator asks.
type question struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	Token  string `json:"token,omitempty"`

	// What a browser sends as its Cookie header, where people sign in.
	Cookie string `json:"cookie,omitempty"`

	// The listener that the request comes to, such as 10.0.0.1:443, where several
	// servers share a port.
	Listener string `json:"listener,omitempty"`

	// The address at which another proxy asks, where URL is what it asks about.
	Via string `json:"via,omitempty"`

	// Further headers, each as `Name: value`.
	Headers []string `json:"headers,omitempty"`

	// The protocol: http/1.0, http/1.1 (default), http/2 or http/3.
	Protocol string `json:"protocol,omitempty"`

	// The address that the request comes from. Default: 127.0.0.1.
	From string `json:"from,omitempty"`
}

// original is the request that a proxy asks about, where the question says that one
// does; nil else.
func (q question) original(ctx context.Context) (via question, original *http.Request, err error) {
	if q.Via == "" {
		return q, nil, nil
	}
	if original, err = q.asked(ctx); err != nil {
		return q, nil, err
	}
	via = q
	via.Method, via.URL, via.Via = http.MethodGet, q.Via, ""
	return via, original, nil
}

// asked makes the request that a question is about.
func (q question) asked(ctx context.Context) (*http.Request, error) {
	u, err := url.Parse(q.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("url: expected an address such as https://app.example.com/orders")
	}
	r, err := http.NewRequestWithContext(ctx, q.Method, "/", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("method: %q is none", q.Method)
	}
	// As the server reads it: two slashes in front are a path, and no host.
	if r.URL, err = url.ParseRequestURI(u.RequestURI()); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	r.RequestURI, r.Host = u.RequestURI(), u.Host
	if err := q.connect(r); err != nil {
		return nil, err
	}
	if u.Scheme == "https" {
		r.TLS = &tls.ConnectionState{ServerName: u.Hostname(), HandshakeComplete: true, Version: tls.VersionTLS13}
	}
	if q.Token != "" {
		r.Header.Set("Authorization", "Bearer "+q.Token)
	}
	if q.Cookie != "" {
		q.browse(r)
	}
	return r, q.add(r.Header)
}

// connect is how the request comes.
func (q question) connect(r *http.Request) error {
	from, err := netip.ParseAddr(orElse(q.From, "127.0.0.1"))
	if err != nil {
		return fmt.Errorf("from: %q is no address of a client, such as 203.0.113.9", q.From)
	}
	r.RemoteAddr = netip.AddrPortFrom(from, 0).String()
	protocols := map[string]string{"http/1.0": "HTTP/1.0", "http/1.1": "HTTP/1.1", "http/2": "HTTP/2.0", "http/3": "HTTP/3.0"}
	proto, known := protocols[orElse(strings.ToLower(q.Protocol), "http/1.1")]
	if !known {
		return fmt.Errorf("protocol: %q: expected http/1.0, http/1.1, http/2 or http/3", q.Protocol)
	}
	r.Proto = proto
	r.ProtoMajor, r.ProtoMinor, _ = http.ParseHTTPVersion(proto)
	return nil
}

// add adds the further headers.
func (q question) add(h http.Header) error {
	for _, line := range q.Headers {
		name, value, found := strings.Cut(line, ":")
		name, value = http.CanonicalHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !found || name == "" || strings.ContainsAny(name, " \t\"(),/;<=>?@[\\]{}") || strings.ContainsAny(value, "\r\n\x00") {
			return errors.New("headers: expected a line such as Upgrade: websocket")
		}
		if name == "Host" {
			return errors.New("headers: the URL says the Host")
		}
		h.Add(name, value)
	}
	return nil
}
