package client

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// redirectProblem says why an address may not get codes, or "". RFC 6749
// §3.1.2: absolute, without a fragment; RFC 9700 §2.6: no plain http but on
// loopback; RFC 8252 §7.1: an app's own scheme is a domain name backwards.
func redirectProblem(raw string, t Type) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme == "" || strings.ContainsAny(raw, " *\\\"<>"):
		return "is not an absolute address"
	case u.Fragment != "" || strings.HasSuffix(raw, "#"):
		return "has a fragment"
	case u.User != nil:
		return "has a user"
	case u.Scheme == "https" && u.Host != "":
		return ""
	case u.Scheme == "http" && loopback(u.Hostname()):
		return ""
	case u.Scheme == "http":
		return "is plain http: https, or http on a loopback address"
	case t == Mobile && strings.Contains(u.Scheme, "."):
		return ""
	case t == Mobile:
		return "has a scheme that is not a domain name backwards, such as com.example.app (RFC 8252 §7.1)"
	}
	return "is not https"
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == "localhost"
}

// Redirect returns the registered address that a request means: the very same
// text (RFC 9700 §4.1.3), but for the port of a loopback address of an app on
// the person's own machine, which the system has chosen (RFC 8252 §7.3). "" asks
// for the only one there is.
func (c *Client) Redirect(asked string) (uri string, ok bool) {
	if asked == "" {
		if c.Rules.RedirectOptional && len(c.RedirectURIs) == 1 {
			return c.RedirectURIs[0], true
		}
		return "", false
	}
	if slices.Contains(c.RedirectURIs, asked) {
		return asked, true
	}
	if c.Type != Mobile {
		return "", false
	}
	for _, known := range c.RedirectURIs {
		if sameButPort(known, asked) {
			return asked, true
		}
	}
	return "", false
}

func sameButPort(known, asked string) bool {
	k, err := url.Parse(known)
	if err != nil || k.Scheme != "http" || k.Hostname() == "localhost" || !loopback(k.Hostname()) {
		return false
	}
	a, err := url.Parse(asked)
	if err != nil || !isPort(a.Port()) || a.User != nil || a.Hostname() != k.Hostname() {
		return false
	}
	// The text, not what a parser makes of it: it drops an empty fragment.
	path, ok := strings.CutPrefix(asked, "http://"+a.Host)
	return ok && path == strings.TrimPrefix(known, "http://"+k.Host)
}

// isPort reports whether a text is a port that an app can listen on, written in
// the one way there is.
func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0 && text == strconv.FormatUint(n, 10)
}

// originProblem says why a text is no origin as browsers send it, or "".
func originProblem(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || raw != u.Scheme+"://"+u.Host || raw != strings.ToLower(raw):
		return "is not an origin such as https://app.example.com"
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return "names the port that browsers leave out: " + u.Scheme + "://" + strings.TrimSuffix(u.Host, ":"+u.Port())
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return ""
	}
	return "is not https"
}
