package remote

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// documents are where an issuer's metadata may be: OpenID Connect Discovery §4.1
// puts the name behind the issuer's path, RFC 8414 §3.1 another one before it.
func documents(issuer *url.URL) []string {
	path := strings.TrimSuffix(issuer.EscapedPath(), "/")
	origin := issuer.Scheme + "://" + issuer.Host
	return []string{origin + path + "/.well-known/openid-configuration", origin + "/.well-known/oauth-authorization-server" + path}
}

// discover asks an issuer where its keys are. What its document may say is bounded
// by what the operator wrote: the issuer.
func discover(ctx context.Context, client *http.Client, identifier string) (jwksURI string, err error) {
	members, issuer, err := metadataOf(ctx, client, identifier)
	if err != nil {
		return "", err
	}
	return keysIn(members, issuer)
}

// metadataOf fetches an issuer's document.
func metadataOf(ctx context.Context, client *http.Client, identifier string) (members map[string]json.RawMessage, issuer *url.URL, err error) {
	if issuer, err = parseURL(identifier); err != nil {
		return nil, nil, fail(Malformed, "the issuer: %s", err)
	}
	for _, address := range documents(issuer) {
		var text []byte
		text, _, err = get(ctx, client, address)
		if err == nil {
			members, err = readMetadata(text, identifier)
			return members, issuer, err
		}
		if f, ok := errors.AsType[*Failure](err); !ok || f.Status != http.StatusNotFound {
			break
		}
	}
	return nil, nil, within("discovery", err)
}

// readMetadata reads a document that is the issuer's own.
func readMetadata(text []byte, identifier string) (members map[string]json.RawMessage, err error) {
	if json.Unmarshal(text, &members) != nil {
		return nil, fail(Malformed, "discovery: not a JSON object")
	}
	var says string
	// RFC 8414 §3.3: identical, or none of the document is used.
	if json.Unmarshal(members["issuer"], &says) != nil || says != identifier {
		return nil, fail(WrongIssuer, "discovery: the document is of another issuer")
	}
	return members, nil
}

// keysIn reads where the keys are.
func keysIn(members map[string]json.RawMessage, issuer *url.URL) (string, error) {
	var keys string
	if json.Unmarshal(members["jwks_uri"], &keys) != nil {
		return "", fail(Malformed, "discovery: no jwks_uri")
	}
	at, err := parseURL(keys)
	if err != nil {
		return "", fail(Malformed, "discovery: jwks_uri: %s", err)
	}
	if !sameHost(at, issuer) {
		return "", fail(Elsewhere, "discovery: the keys are on another host, %q; if that is right, name the address as jwks_uri", at.Host)
	}
	return keys, nil
}

// within says which step failed.
func within(step string, err error) error {
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		return err
	}
	named := *f
	named.words = step + ": " + f.words
	return &named
}
