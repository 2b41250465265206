package oauth

import (
	"errors"
	"net/http"
	"testing"
)

func TestBearer(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []string
		token  string
		err    error
	}{
		{"one token", []string{"Bearer a.b-c_d~e+f/g=="}, "a.b-c_d~e+f/g==", nil},
		{"B10 bearer", []string{"bearer a"}, "a", nil},
		{"B10 BEARER", []string{"BEARER a"}, "a", nil},
		{"two spaces", []string{"Bearer  a"}, "a", nil},
		{"none", nil, "", ErrNoToken},
		{"empty field", []string{""}, "", ErrNoToken},
		{"B09 two fields", []string{"Bearer a", "Bearer b"}, "", ErrTwoTokens},
		{"B09 the same twice", []string{"Bearer a", "Bearer a"}, "", ErrTwoTokens},
		{"B09 two schemes", []string{"Basic YTpi", "Bearer b"}, "", ErrTwoTokens},
		{"B09 two in one field", []string{"Bearer a, Bearer b"}, "", ErrMalformedToken},
		{"B11 no scheme", []string{"aaaa.bbbb.cccc"}, "", ErrNoToken},
		{"B11 Token", []string{"Token a"}, "", ErrNoToken},
		{"B11 Basic", []string{"Basic aaaa.bbbb.cccc"}, "", ErrNoToken},
		{"B11 DPoP", []string{"DPoP aaaa.bbbb.cccc"}, "", ErrNoToken},
		{"B11 BearerX", []string{"BearerX a"}, "", ErrNoToken},
		{"B11 Bearer alone", []string{"Bearer"}, "", ErrMalformedToken},
		{"B11 Bearer and a space", []string{"Bearer "}, "", ErrMalformedToken},
		{"B11 trailing garbage", []string{"Bearer a b"}, "", ErrMalformedToken},
		{"B11 trailing space", []string{"Bearer a "}, "", ErrMalformedToken},
		{"B11 a tab", []string{"Bearer\ta"}, "", ErrMalformedToken},
		{"B11 a comma", []string{"bearer,a"}, "", ErrMalformedToken},
		{"B11 Bearer-like", []string{"Bearer-X a"}, "", ErrNoToken},
		{"A33 JSON serialization", []string{`Bearer {"payload":"a"}`}, "", ErrMalformedToken},
		{"padding alone", []string{"Bearer =="}, "", ErrMalformedToken},
		{"padding inside", []string{"Bearer a=b"}, "", ErrMalformedToken},
		{"NUL", []string{"Bearer a\x00"}, "", ErrMalformedToken},
	} {
		t.Run(c.name, func(t *testing.T) {
			token, err := Bearer(http.Header{"Authorization": c.fields})
			if token != c.token || !errors.Is(err, c.err) {
				t.Errorf("%q, %v; want %q, %v", token, err, c.token, c.err)
			}
		})
	}
}

// B12: only the configured place is looked at.
func TestBearerReadsNoOtherField(t *testing.T) {
	h := http.Header{"X-Access-Token": {"a"}, "Proxy-Authorization": {"Bearer a"}, "Cookie": {"access_token=a"}}
	if token, err := Bearer(h); !errors.Is(err, ErrNoToken) {
		t.Errorf("%q, %v; want %v", token, err, ErrNoToken)
	}
}

func TestBearerAllocatesNothing(t *testing.T) {
	h := http.Header{"Authorization": {"Bearer aaaa.bbbb.cccc"}}
	if n := testing.AllocsPerRun(100, func() { _, _ = Bearer(h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
