package token

import (
	"slices"
	"strconv"
	"strings"
)

// Common is what the tokens of one client usually have in common. With it, the
// subject, the id and three times a verified token can be remembered in a fifth of
// the memory of its Claims: the rest stands in the token, which comes again with
// the next request.
type Common struct {
	issuer, clientID, typ, scope string
	audience, scopes             []string
	foreign                      bool
}

// Common takes it out of verified claims.
func (c *Claims) Common() Common {
	return Common{
		issuer: strings.Clone(c.Issuer), clientID: strings.Clone(c.ClientID), typ: strings.Clone(c.Type), scope: strings.Clone(c.Text("scope")),
		audience: cloned(c.Audience), scopes: cloned(c.Scopes), foreign: c.foreign,
	}
}

// cloned copies the texts, too: they are parts of one long one.
func cloned(list []string) []string {
	out := slices.Clone(list)
	for i, s := range out {
		out[i] = strings.Clone(s)
	}
	return out
}

// AppendKind appends a text that is equal only for two whose Common is. It makes no
// other: every token that was not seen before comes here.
func (c *Claims) AppendKind(b []byte) []byte {
	scope, _ := c.Value("scope").(string) // of a list, c.Scopes say all
	b = appendTexts(b, c.Issuer, c.ClientID, c.Type, scope)
	b = appendTexts(b, c.Audience...)
	b = appendTexts(b, c.Scopes...)
	return strconv.AppendBool(b, c.foreign)
}

func appendTexts(b []byte, texts ...string) []byte {
	b = strconv.AppendInt(b, int64(len(texts)), 10)
	for _, s := range texts {
		b = strconv.AppendInt(append(b, ' '), int64(len(s)), 10)
		b = append(append(b, ':'), s...)
	}
	return b
}

// Own is what a token shares with no other.
type Own struct {
	Subject, ID                  string
	IssuedAt, NotBefore, Expires int64
}

// Fill writes into c what the token raw says, which was verified before. All the
// other claims are read when they are asked for.
func (k *Common) Fill(c *Claims, own Own, raw string) {
	*c = Claims{
		Issuer: k.issuer, Subject: own.Subject, Audience: k.audience, Scopes: k.scopes, ClientID: k.clientID, ID: own.ID, Type: k.typ,
		IssuedAt: own.IssuedAt, NotBefore: own.NotBefore, Expires: own.Expires,
		foreign: k.foreign, raw: raw, common: k,
	}
}

// Scope is the text of the claim scope.
func (k *Common) Scope() string { return k.scope }

// Texts are those that may become headers.
func (k *Common) Texts() []string { return []string{k.issuer, k.clientID, k.scope} }

// payloadOf reads a payload that was read before.
func payloadOf(raw string) map[string]any {
	sealed, err := Parse(raw)
	if err != nil {
		return nil
	}
	said, err := parseMembers(sealed.payload, usualClaims)
	if err != nil {
		return nil
	}
	return said.all.object()
}
