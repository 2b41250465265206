package token

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// What parses prints back, and reads the same to encoding/json: strictness
// only refuses, it never reads something else.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1,"b":[true,null,"x",{"c":-0.5e3}]}`, `{"a":1,"a":2}`, `{"a":[1,]}`, `{"a" 1}`, `{"\u0061":1,"a":2}`, `[]`, "\ufeff{}", `{}{}`, ` {"a":"\ud800"} `, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseObject(text)
		if err != nil {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		var want map[string]any
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("%s: accepted, and encoding/json says %v", text, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %v, encoding/json %v", text, got, want)
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
