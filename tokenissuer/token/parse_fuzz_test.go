package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// What each text shows that it is refused or accepted for.
var objects = []struct {
	text string
	good bool
}{
	{`{}`, true},
	{` {"a":"\ud800"} `, true}, // half a character: U+FFFD
	{"\t{\r\n\"a\" : 1 , \"b\":[ ] }\n", true},
	{`{"a":1,"b":[true,false,null,"x",{"c":-0.5e3}]}`, true},
	{`{"a":"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00\ud83d\u0041\udc00"}`, true},
	{`{"a":[0,-0,0.0,1e5,1E+5,1e-5,123456789012345678901234567890]}`, true},
	{"{\"\u00e9\":\"\U0001F600\"}", true},
	{nested(15), true},
	{nested(16), true},
	{nested(17), false},
	{strings.Replace(nested(16), "[]", "[1]", 1), false},
	{`{"a":1,"a":2}`, false},
	{`{"a":{"b":1,"b":1}}`, false},
	{`{"a":[{"b":1,"b":null}]}`, false},
	{`{"\u0061":1,"a":2}`, false},
	{`{"\ud800":1,"\udc00":2}`, false},
	{``, false},
	{` `, false},
	{`[]`, false},
	{`"a"`, false},
	{`null`, false},
	{`1`, false},
	{"\ufeff{}", false},
	{`{}{}`, false},
	{`{} x`, false},
	{"{}\x00", false},
	{`{`, false},
	{`{"a"`, false},
	{`{"a":`, false},
	{`{"a":1`, false},
	{`{"a":1,`, false},
	{`{"a":1,}`, false},
	{`{,"a":1}`, false},
	{`{"a":[1,]}`, false},
	{`{"a":[,1]}`, false},
	{`{"a":[1 2]}`, false},
	{`{"a" 1}`, false},
	{`{a:1}`, false},
	{`{1:1}`, false},
	{`{"a":01}`, false},
	{`{"a":-}`, false},
	{`{"a":+1}`, false},
	{`{"a":1.}`, false},
	{`{"a":.5}`, false},
	{`{"a":1e}`, false},
	{`{"a":1e+}`, false},
	{`{"a":0x10}`, false},
	{`{"a":NaN}`, false},
	{`{"a":tru}`, false},
	{`{"a":truee}`, false},
	{`{"a":True}`, false},
	{`{"a":nul`, false},
	{`{"a":"b}`, false},
	{"{\"a\":\"\n\"}", false},
	{"{\"a\":\"\\n\x1f\"}", false},
	{`{"a":"\x"}`, false},
	{`{"a":"\u12"}`, false},
	{`{"a":"\u12g4"}`, false},
	{`{"a":"\`, false},
	{`{"a":"\u`, false},
	{`{"a":'b'}`, false},
	{"{\"a\":\"\xff\"}", false},
	{"{\"a\":\"\xed\xa0\x80\"}", false},
	{"{\"a\":\"\xc0\xaf\"}", false},
	{"{\"\xff\":1}", false},
	{"{\"a\":\"\\n\xff\"}", false},
	{`{/**/}`, false},
	{"{\v}", false},
	{"{\u00a0}", false},
}

// nested is an object with so many lists in one another.
func nested(lists int) string {
	return `{"a":` + strings.Repeat("[", lists) + strings.Repeat("]", lists) + `}`
}

func parseObject(text []byte) (map[string]any, error) {
	said, err := parseMembers(text, 1)
	if err != nil {
		return nil, err
	}
	return said.all.object(), nil
}

func TestParseObject(t *testing.T) {
	for _, c := range objects {
		got, err := parseObject([]byte(c.text))
		if (err == nil) != c.good {
			t.Errorf("%q: %v", c.text, err)
		}
		sameAsSlow(t, []byte(c.text), got, err)
	}
}

// What parses prints back, and is what encoding/json reads, no more and no less
// than it was when every token went through that.
func FuzzParseObject(f *testing.F) {
	for _, c := range objects {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseObject(text)
		sameAsSlow(t, text, got, err)
		if err != nil {
			return
		}
		printed, err := marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseObject(printed)
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Fatalf("%s printed as %s: %v", text, printed, err)
		}
	})
}

func sameAsSlow(t *testing.T, text []byte, got map[string]any, err error) {
	t.Helper()
	want, wantErr := slowObject(text)
	if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: %v, %v; encoding/json %v, %v", text, got, err, want, wantErr)
	}
}

func BenchmarkParseObject(b *testing.B) {
	text := []byte(`{"sub":"5486a5da-14a6-43dd-81cd-106db05a22ff","aud":"shop","nbf":1700000000,"scope":["openid","orders:read"],"iss":"https://issuer.example","exp":1700000300,"iat":1700000000,"jti":"4384950a-391e-4708-b1ca-9f5d7437d7d2","email":"somebody@example.com"}`)
	for name, parse := range map[string]func([]byte) (map[string]any, error){"fast": parseObject, "slow": slowObject} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// slowObject is parseObject by encoding/json alone.
func slowObject(text []byte) (map[string]any, error) {
	// encoding/json replaces broken UTF-8 and its Decoder's Token is lenient
	// about commas, so both are asked before.
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, errors.New("not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	value, err := slowValue(dec, 0)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	return object, nil
}

func slowValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return slowMembers(dec, depth)
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := slowValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		return list, err
	}
	return t, nil
}

func slowMembers(dec *json.Decoder, depth int) (map[string]any, error) {
	object := map[string]any{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("a member without a name")
		}
		if _, twice := object[name]; twice {
			// RFC 7519 §4: duplicate names may be refused; the last-wins reading
			// that it also allows is what parser differentials are made of.
			return nil, errors.New("a member stands twice")
		}
		if object[name], err = slowValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return object, err
}
