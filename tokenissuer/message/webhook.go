package message

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// WebhookConfig says which service sends the messages.
type WebhookConfig struct {
	// URL is https; http on a loopback host alone. It gets the message as JSON:
	// id, to, text, code, usage, locale, client_id.
	URL string

	// Header is sent with every request, for the key that the service asks for.
	Header http.Header

	// CAFile is a PEM file with the authorities that the service's certificate is
	// verified against. Default: the system's.
	CAFile string

	// Timeout ends sending one message, all tries together. Default Timeout.
	Timeout time.Duration
}

// String hides the keys, of which the URL may hold one too.
func (c WebhookConfig) String() string { return "webhook" }

// GoString hides the keys from %#v.
func (c WebhookConfig) GoString() string { return c.String() }

// pauses are what is waited before the second and the third try.
var pauses = []time.Duration{100 * time.Millisecond, 400 * time.Millisecond}

// drain is what the rest of an answer may take once its status is known.
const drain = 300 * time.Millisecond

// Webhook hands messages to a service over HTTP.
type Webhook struct {
	url, host string
	header    http.Header
	client    *http.Client
	timeout   time.Duration
}

// NewWebhook reads the configuration. It does not connect.
func NewWebhook(c WebhookConfig) (*Webhook, error) {
	u, err := readURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if err := checkHeader(c.Header); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	roots, err := Authorities(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	withoutTLS := u.Scheme == "http"
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment, // never used for loopback hosts
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		MaxConnsPerHost:   under, MaxIdleConnsPerHost: under, IdleConnTimeout: time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return dial(ctx, address, withoutTLS)
		},
	}
	return &Webhook{
		url: u.String(), host: u.Host, header: c.Header.Clone(), timeout: positive(c.Timeout),
		client: &http.Client{
			Transport: transport,
			// A redirect would take the code, and the key, to a host that nobody configured.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func (h *Webhook) String() string { return "webhook " + h.host }

// GoString hides the keys from %#v.
func (h *Webhook) GoString() string { return h.String() }

// Close lets the kept connections go.
func (h *Webhook) Close() { h.client.CloseIdleConnections() }

// Send posts the message, up to three times where the service or the way to it
// failed. Every try has the same Idempotency-Key, so that a service that knows
// it sends one message. There is no limit on one try alone: an answer that is
// late may still be a message that is sent.
func (h *Webhook) Send(ctx context.Context, m Message) error {
	if err := m.check(); err != nil {
		return h.fail("message", err)
	}
	if m.Code == "" {
		return h.fail("message", errors.New("a webhook is promised a code"))
	}
	body, err := json.Marshal(struct {
		ID       string `json:"id"`
		To       string `json:"to"`
		Text     string `json:"text"`
		Code     string `json:"code"`
		Usage    string `json:"usage"`
		Locale   string `json:"locale"`
		ClientID string `json:"client_id"`
	}{m.ID, m.To, m.Text, m.Code, m.Usage, m.Locale, m.ClientID})
	if err != nil {
		return h.fail("message", err)
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	for try := 0; ; try++ {
		again, err := h.post(ctx, m.ID, body)
		switch {
		case err == nil:
			return nil
		case !again || try == len(pauses):
			return h.fail(fmt.Sprintf("POST, try %d", try+1), err)
		}
		select {
		case <-ctx.Done():
			return h.fail(fmt.Sprintf("POST, try %d", try+1), err)
		case <-time.After(pauses[try]):
		}
	}
}

// post is one try. again says that another one could end otherwise.
func (h *Webhook) post(ctx context.Context, id string, body []byte) (again bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return false, said("the request cannot be made")
	}
	for name, values := range h.header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", id)
	resp, err := h.client.Do(req)
	if err != nil {
		_, distrusted := errors.AsType[*tls.CertificateVerificationError](err)
		return !distrusted, plain(err)
	}
	defer resp.Body.Close()
	// What it says is not read: it may quote the message. A short answer is taken
	// off the connection, so that the next message can use it; one that takes its
	// time is not waited for, the status has said what counts.
	late := time.AfterFunc(drain, cancel)
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, 16<<10)
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	again = resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500
	return again, said(strings.TrimSpace(fmt.Sprintf("answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))))
}

func (h *Webhook) fail(step string, err error) error {
	return &Error{Host: h.host, Step: step, Cause: err}
}

// readURL quotes nothing of it: a key may be anywhere in it.
func readURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Fragment != "" {
		return nil, errors.New("expected a URL like https://sms.internal/send")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, fmt.Errorf("%s must be https (http only on a loopback host)", u.Host)
	}
	return u, nil
}

// ours are the headers that a configuration does not set.
var ours = []string{"Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Host", "Idempotency-Key"}

func checkHeader(header http.Header) error {
	for name, values := range header {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool {
			return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
		}) {
			return fmt.Errorf("header: %q is no name of a header", name)
		}
		if slices.Contains(ours, http.CanonicalHeaderKey(name)) {
			return fmt.Errorf("header: %s is set by the webhook itself", name)
		}
		for _, value := range values {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return fmt.Errorf("header: the value of %s has a control character", name)
			}
		}
	}
	return nil
}
