package caddymodule

import (
	"net/url"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// foreignLeeway is how far the clock of another issuer may be off by default.
const foreignLeeway = 30 * time.Second

// noLeeway is how the configuration asks for none; 0 is nothing said.
const noLeeway = "0s"

// ForeignIssuer is an issuer outside this server.
type ForeignIssuer struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// Where each word of it was written.
	Lines Lines `json:"lines,omitempty"`

	// The issuer identifier, exactly as its tokens say it in `iss`.
	Issuer string `json:"issuer,omitempty"`

	// Its tokens must be for any of these. Required: an issuer also makes tokens
	// for others.
	Audience []string `json:"audience,omitempty"`

	// Where its key set (RFC 7517) is fetched: https, or http on loopback. Default:
	// where its metadata says, on the issuer's own host; name it where the keys are on
	// another one. Nothing is fetched before the server starts.
	JWKSURI string `json:"jwks_uri,omitempty"`

	// A file with its key set instead, read when the configuration is loaded.
	JWKSFile string `json:"jwks_file,omitempty"`

	// A PEM file with the authorities that its certificate is verified against,
	// instead of the system's. It is read when the configuration is loaded.
	CAFile string `json:"ca_file,omitempty"`

	// Ask the issuer about tokens that are no JWT. One issuer of a gate at most: a
	// token does not say whose it is, and each would be shown the other's.
	Introspection *Introspection `json:"introspection,omitempty"`

	// How far its clock may be off, default `30s`, at most `10m`; `0s` for none.
	Leeway string `json:"leeway,omitempty"`

	leeway time.Duration
}

// Introspection is an issuer's introspection endpoint (RFC 7662).
type Introspection struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// Its address: https, or http on loopback.
	URL string `json:"url,omitempty"`

	// Who asks there, by Basic authentication. Required: the issuer tells nobody else.
	ClientID string `json:"client_id,omitempty"`

	// Its secret, best with a placeholder. Required.
	ClientSecret string `json:"client_secret,omitempty"`
}

// issuer parses:
//
//	issuer <url> {
//		audience <audience>…
//		jwks_uri <url>
//		jwks_file <path>
//		ca_file <path>
//		introspection <url> { … }
//		leeway <duration>
//	}
func (p *gateParser) issuer() error {
	i := ForeignIssuer{At: at(p.Dispenser)}
	if !p.AllArgs(&i.Issuer) || i.Issuer == "" {
		return p.Errf("%s: issuer needs exactly one address", p.name)
	}
	b := newBlock(p.Dispenser, "issuer "+i.Issuer)
	if err := b.read(words{
		"audience":      b.texts(&i.Audience),
		"jwks_uri":      b.text(&i.JWKSURI),
		"jwks_file":     b.text(&i.JWKSFile),
		"ca_file":       b.text(&i.CAFile),
		"introspection": b.introspection(&i.Introspection),
		"leeway":        b.duration(&i.Leeway, noLeeway),
	}); err != nil {
		return err
	}
	i.Lines = b.lines.kept()
	p.gate.Issuer = append(p.gate.Issuer, i)
	return nil
}

// introspection parses:
//
//	introspection <url> {
//		client_id <id>
//		client_secret <secret>
//	}
func (b *block) introspection(into **Introspection) word {
	return word{read: func() error {
		i := &Introspection{At: at(b.Dispenser)}
		if !b.Args(&i.URL) || i.URL == "" {
			return b.Errf("%s: introspection: expected the address of the endpoint", b.name)
		}
		if b.NextArg() {
			return b.Errf("%s: unexpected %q after the address of introspection", b.name, b.Val())
		}
		*into = i
		inner := newBlock(b.Dispenser, b.name+": introspection")
		err := inner.read(words{"client_id": inner.text(&i.ClientID), "client_secret": inner.text(&i.ClientSecret)})
		for word, line := range inner.lines {
			if word != "" {
				b.lines["introspection "+word] = line
			}
		}
		return err
	}}
}

// resolve returns a copy without placeholders.
func (i ForeignIssuer) resolve(r *reader) ForeignIssuer {
	r.at, r.lines = i.At, i.Lines
	f := ForeignIssuer{At: i.At, Lines: i.Lines, Audience: r.texts("audience", i.Audience)}
	f.Issuer, _ = r.text("issuer", i.Issuer)
	f.JWKSURI, _ = r.text("jwks_uri", i.JWKSURI)
	f.JWKSFile, _ = r.text("jwks_file", i.JWKSFile)
	f.CAFile, _ = r.text("ca_file", i.CAFile)
	if text, known := r.text("leeway", i.Leeway); known && text == noLeeway {
		f.leeway = -1
	} else {
		f.leeway = r.duration("leeway", i.Leeway)
	}
	if in := i.Introspection; in != nil {
		f.Introspection = &Introspection{At: in.At}
		f.Introspection.URL, _ = r.text("introspection", in.URL)
		f.Introspection.ClientID, _ = r.text("introspection client_id", in.ClientID)
		f.Introspection.ClientSecret, _ = r.text("introspection client_secret", in.ClientSecret)
	}
	return f
}

// mend says what is wrong with the issuer and where, or "".
func (i ForeignIssuer) mend() (mend, at string) {
	if !hasPlaceholder(i.Issuer) {
		if u, err := url.Parse(i.Issuer); err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return "not an issuer such as https://login.example.com", i.At
		}
		if err := remote.CheckURL(i.Issuer); err != nil {
			return err.Error(), i.At
		}
	}
	on := func(word string) string { return i.Lines.of(word, "", i.At) }
	switch {
	case len(i.Audience) == 0:
		return "audience is required: this issuer also makes tokens for others", i.At
	case i.JWKSURI != "" && i.JWKSFile != "":
		return "jwks_uri and jwks_file: keep one, the address that keys are fetched from or the file", on("jwks_file")
	case i.CAFile != "" && i.JWKSFile != "" && i.Introspection == nil:
		return "ca_file is without effect: with jwks_file nothing is fetched", on("ca_file")
	}
	if i.JWKSURI != "" && !hasPlaceholder(i.JWKSURI) {
		if err := remote.CheckURL(i.JWKSURI); err != nil {
			return "jwks_uri: " + err.Error(), on("jwks_uri")
		}
	}
	if in := i.Introspection; in != nil {
		return in.mend(), orElse(in.At, i.At)
	}
	return "", ""
}

// mend says what is wrong with the endpoint, or "".
func (i *Introspection) mend() string {
	if err := remote.CheckURL(i.URL); err != nil && !hasPlaceholder(i.URL) {
		return "introspection: " + err.Error()
	}
	if i.ClientID == "" || i.ClientSecret == "" {
		return "introspection: client_id and client_secret are required: the issuer answers nobody else (RFC 7662 §2.1)"
	}
	return ""
}

// trusted is the issuer in the gate's own terms, all but its keys.
func (i ForeignIssuer) trusted() gate.Issuer {
	out := gate.Issuer{Identifier: i.Issuer, Keys: noKeys, Audiences: i.Audience, Leeway: i.leeway}
	if out.Leeway == 0 {
		out.Leeway = foreignLeeway
	}
	out.Leeway = max(0, out.Leeway)
	return out
}

// source is what is known of an issuer and how: its keys by a file that was read, or
// by the network, and its opaque tokens.
type source struct {
	read    *token.Set
	fetched remote.KeysConfig
	asked   remote.IntrospectionConfig // URL "": its opaque tokens are refused
	name    string                     // the same for sources that are the same
}

// source reads what is in files. It opens no connection.
func (i ForeignIssuer) source(crypto token.Crypto, logger *zap.Logger) (s source, err error) {
	wrong := func(word, why string) error {
		return placed("token_gate: issuer "+i.Issuer+": "+word+": "+strings.ReplaceAll(why, "\n", ": "), i.Lines.of(word, "", i.At))
	}
	roots, err := message.Authorities(i.CAFile)
	if err != nil {
		return s, wrong("ca_file", err.Error())
	}
	if in := i.Introspection; in != nil {
		s.asked = remote.IntrospectionConfig{Issuer: i.Issuer, URL: in.URL, ClientID: in.ClientID, ClientSecret: in.ClientSecret, Roots: roots}
	}
	if s.name, err = nameOf(i.CAFile); err != nil {
		return s, wrong("ca_file", err.Error())
	}
	if i.JWKSFile == "" {
		s.fetched = remote.KeysConfig{Issuer: i.Issuer, JWKSURI: i.JWKSURI, Roots: roots, Crypto: crypto}
		return s, nil
	}
	text, err := os.ReadFile(i.JWKSFile)
	if err != nil {
		return s, wrong("jwks_file", err.Error())
	}
	if s.read, err = crypto.ParseJWKS(text); err != nil {
		return s, wrong("jwks_file", i.JWKSFile+": "+err.Error())
	}
	for _, why := range s.read.LeftOut() {
		logger.Warn("a key of the issuer is not used: "+why.Error(), zap.String("issuer", i.Issuer), zap.String("file", i.JWKSFile),
			zapAt(i.Lines.of("jwks_file", "", i.At)))
	}
	return s, nil
}
