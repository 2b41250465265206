package vectors

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// group is tokens that belong to one key, or one key set.
type group struct {
	Comment         string
	Private, Public json.RawMessage
	Tests           []vector
}

type vector struct {
	ID      int `json:"tcId"`
	Comment string
	JWS     json.RawMessage // text, or an object: the JSON serialization
	Result  string
}

// files are those of Wycheproof that are about signatures and their keys.
var files = []string{"json_web_signature_test.json", "json_web_key_test.json"}

// read returns the groups of a file, all of it.
func read(t *testing.T, name string) []group {
	t.Helper()
	text, err := wycheproof.TestVectors.(interface{ ReadFile(string) ([]byte, error) }).ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		NumberOfTests int
		TestGroups    []group
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range file.TestGroups {
		n += len(g.Tests)
	}
	if n == 0 || n != file.NumberOfTests {
		t.Fatalf("%s: %d tests were read, and it says %d", name, n, file.NumberOfTests)
	}
	return file.TestGroups
}

// token is what a client would send.
func (v vector) token() string {
	var text string
	if json.Unmarshal(v.JWS, &text) == nil {
		return text
	}
	return string(v.JWS)
}

func (v vector) valid() bool { return v.Result != "invalid" }

// header is the protected header, as far as it can be read.
func (v vector) header() (h struct{ Alg, Kid string }) {
	part, _, _ := strings.Cut(v.token(), ".")
	text, _ := base64.RawURLEncoding.DecodeString(part)
	_ = json.Unmarshal(text, &h)
	return h
}

func (v vector) hasPayload() bool {
	parts := strings.Split(v.token(), ".")
	return len(parts) == 3 && parts[1] != ""
}

// keys are the JWKs of a group: what is public where it says so, else what it
// has, as an operator might put it into a file by mistake.
func (g group) keys() []json.RawMessage { return keysOf(g.published()) }

func (g group) published() json.RawMessage {
	if g.Public != nil {
		return g.Public
	}
	return g.Private
}

// keysOf reads a JWK or a JWK set.
func keysOf(text json.RawMessage) []json.RawMessage {
	var set struct{ Keys []json.RawMessage }
	if json.Unmarshal(text, &set) == nil && set.Keys != nil {
		return set.Keys
	}
	return []json.RawMessage{text}
}

// keySet is a JWK set of keys.
func keySet(t *testing.T, keys ...json.RawMessage) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// with is a JWK with one member replaced.
func with(t *testing.T, key json.RawMessage, name, value string) json.RawMessage {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(key, &members); err != nil {
		t.Fatal(err)
	}
	members[name] = value
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sign makes a token of a private JWK, whatever that says it is for; it fails
// where there is no such key.
func sign(private json.RawMessage, alg, kid string, claims []byte) (string, error) {
	key, err := jwk.ParseKey(private)
	if err != nil {
		return "", err
	}
	var raw any
	if err := key.Raw(&raw); err != nil {
		return "", err
	}
	header := jws.NewHeaders()
	if err := header.Set(jws.KeyIDKey, kid); err != nil {
		return "", err
	}
	signed, err := jws.Sign(claims, jws.WithKey(jwa.SignatureAlgorithm(alg), raw, jws.WithProtectedHeaders(header)))
	return string(signed), err
}
