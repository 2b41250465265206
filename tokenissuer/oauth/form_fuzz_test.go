package oauth

import (
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// requireForm holds what every accepted body has: no parameter but resource
// twice, a name of the grammar unless it is empty, no control character in any.
func requireForm(t *testing.T, f Form) {
	t.Helper()
	var names []string
	for _, p := range f.parameters {
		if p.name != "resource" && slices.Contains(names, p.name) {
			t.Fatalf("%q twice", p.name)
		}
		if p.name == "" || strings.ContainsFunc(p.name, unprintable) || strings.ContainsRune(p.value, 0) {
			t.Fatalf("%q = %q", p.name, p.value)
		}
		names = append(names, p.name)
	}
	if len(names) > 0 && !slices.ContainsFunc(names, isName) {
		t.Fatalf("no name among %q", names)
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", "a=b&c=d", "a=%41+&b", "a&a", "resource=a&resource=b", "a=%zz", "a=b;c", "&&=", "a=%ed%a0%80", "a=b&c[]=d&%20=e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := ParseQuery(body)
		if err != nil {
			return
		}
		requireForm(t, form)
		// The standard parser reads the same values: no two readings of one body.
		values, err := url.ParseQuery(body)
		if err != nil {
			t.Fatalf("accepted what net/url refuses: %v", err)
		}
		var printed []string
		for _, p := range form.parameters {
			if !slices.Contains(values[p.name], p.value) {
				t.Fatalf("%q: %q is not in %q", p.name, p.value, values[p.name])
			}
			printed = append(printed, url.QueryEscape(p.name)+"="+url.QueryEscape(p.value))
		}
		again, err := ParseQuery(strings.Join(printed, "&"))
		if err != nil || len(again.parameters) != len(form.parameters) ||
			len(form.parameters) > 0 && !reflect.DeepEqual(again, form) {
			t.Fatalf("%q printed and read again: %v, %v", body, again.parameters, err)
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":"b","c":1,"d":true}`, `{"a":1,"\u0061":2}`, `{"a":-0}`, `{"a":"\ud800"}`, `{"a":"b"} `, `{"a":1e400}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := parseJSON(body, jsonValue)
		if err != nil {
			return
		}
		requireForm(t, form)
		if !json.Valid([]byte(body)) {
			t.Fatal("accepted what is not JSON")
		}
		object := map[string]string{}
		for _, p := range form.parameters {
			object[p.name] = p.value
		}
		printed, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseJSON(string(printed), jsonValue)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range form.parameters {
			if p.name != "resource" && again.Get(p.name) != p.value {
				t.Fatalf("%q: %q became %q", p.name, p.value, again.Get(p.name))
			}
		}
	})
}

func FuzzMultipart(f *testing.F) {
	f.Add(multipartBody("a", "b", "c", "d"), "multipart/form-data; boundary=b")
	f.Add("--b\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\nx\r\n--b--", "multipart/form-data; boundary=b")
	f.Fuzz(func(t *testing.T, body, contentType string) {
		form, err := parseMultipart(body, contentType)
		if err != nil {
			return
		}
		requireForm(t, form)
		for _, p := range form.parameters {
			if !strings.Contains(body, p.value) {
				t.Fatalf("%q was not sent", p.value)
			}
		}
	})
}
