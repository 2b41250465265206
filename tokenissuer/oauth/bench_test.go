package oauth

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

const tokenRequest = "grant_type=password&client_id=shop&client_secret=dGhpcyBpcyBhIHNlY3JldCBvZiAzMiBieXRlcw&auth_source_id=staff&username=alice%40example.com&password=correct+horse+battery&scope=openid"

func BenchmarkReadForm(b *testing.B) {
	r, _ := http.NewRequest("POST", "/oauth2/token", nil)
	r.Header.Set("Content-Type", formType)
	body := strings.NewReader(tokenRequest)
	r.Body, r.ContentLength = io.NopCloser(body), int64(len(tokenRequest))
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(tokenRequest)
		form, err := ReadForm(nil, r, FormEncoded|JSON|Multipart)
		if err != nil || form.Get("username") == "" {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseJSON(b *testing.B) {
	const body = `{"grant_type":"password","client_id":"shop","username":"alice@example.com","password":"correct horse battery"}`
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseJSON(body, jsonValue); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseBasic(b *testing.B) {
	header := basic("shop:dGhpcyBpcyBhIHNlY3JldCBvZiAzMiBieXRlcw")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ParseBasic(header); err != nil {
			b.Fatal(err)
		}
	}
}
