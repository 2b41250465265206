package oauth

import (
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
	anyMedia = FormEncoded | JSON | Multipart
)

func read(contentType, body string, accept Media) (Form, error) {
	r := httptest.NewRequest("POST", "/oauth2/token?grant_type=password&client_id=query", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return ReadForm(httptest.NewRecorder(), r, accept)
}

func multipartBody(fields ...string) string {
	var b strings.Builder
	for i := 0; i < len(fields); i += 2 {
		b.WriteString("--b\r\nContent-Disposition: form-data; name=\"" + fields[i] + "\"\r\n\r\n" + fields[i+1] + "\r\n")
	}
	return b.String() + "--b--\r\n"
}

func TestEveryEncodingSaysTheSame(t *testing.T) {
	want := []parameter{{"grant_type", "password"}, {"username", "张 三+@x"}, {"otp", "123456"}, {"auto_signup", "true"}}
	bodies := map[string][2]string{
		"form":      {formType, "grant_type=password&username=%E5%BC%A0+%e4%b8%89%2B@x&otp=123456&auto_signup=true"},
		"charset":   {"Application/X-WWW-Form-Urlencoded ; charset=ISO-8859-1", "grant_type=password&username=张+三%2B@x&&otp=123456&auto_signup=true&"},
		"json":      {"application/json;charset=UTF-8", `{"grant_type":"password","username":"\u5f20 三+@x","otp":123456,"auto_signup":true}`},
		"multipart": {"multipart/form-data; boundary=b", multipartBody("grant_type", "password", "username", "张 三+@x", "otp", "123456", "auto_signup", "true")},
	}
	for name, c := range bodies {
		form, err := read(c[0], c[1], anyMedia)
		if err != nil || !reflect.DeepEqual(form.parameters, want) {
			t.Errorf("%s: %v, %v", name, form.parameters, err)
		}
	}
}

func TestQueryIsNotRead(t *testing.T) {
	form, err := read(formType, "", FormEncoded)
	if err != nil || len(form.Names()) != 0 || form.Get("client_id") != "" {
		t.Fatalf("%v, %v", form, err)
	}
}

func TestEmptyValueIsAbsent(t *testing.T) {
	form, err := read(formType, "scope=&client_secret&username=a&resource=&resource=b&resource=c", FormEncoded)
	if err != nil {
		t.Fatal(err)
	}
	if form.Get("scope") != "" || form.Get("resource") != "" && form.Get("resource") != "b" {
		t.Errorf("scope %q, resource %q", form.Get("scope"), form.Get("resource"))
	}
	if got := form.Names(); !reflect.DeepEqual(got, []string{"username", "resource"}) {
		t.Errorf("names %v", got)
	}
	if got := form.List("resource"); !reflect.DeepEqual(got, []string{"b", "c"}) {
		t.Errorf("resources %v", got)
	}
}

func TestBadBodiesAreRefusedByName(t *testing.T) {
	nul := string(rune(0))
	tests := []struct {
		name, contentType, body string
		accept                  Media
		reason                  Reason
		param                   string
	}{
		{"no type", "", "a=b", anyMedia, UnsupportedMediaType, ""},
		{"no type, no body", "", "", anyMedia, UnsupportedMediaType, ""},
		{"text", "text/plain", "a=b", anyMedia, UnsupportedMediaType, ""},
		{"prefix of a type", "application/jsonp", "{}", anyMedia, UnsupportedMediaType, ""},
		{"JSON where only a form is read", jsonType, "{}", FormEncoded, UnsupportedMediaType, ""},
		{"multipart where only a form is read", "multipart/form-data; boundary=b", multipartBody("a", "b"), FormEncoded, UnsupportedMediaType, ""},

		{"repeated", formType, "scope=a&scope=b", anyMedia, RepeatedParameter, "scope"},
		{"repeated, same value", formType, "scope=a&scope=a", anyMedia, RepeatedParameter, "scope"},
		{"repeated, once empty", formType, "scope=&scope=a", anyMedia, RepeatedParameter, "scope"},
		{"repeated, once escaped", formType, "scope=a&%73cope=b", anyMedia, RepeatedParameter, "scope"},
		{"rest of an unescaped password", formType, "password=a&hunter2&hunter2", anyMedia, RepeatedParameter, ""},
		{"repeated JSON key", jsonType, `{"scope":"a","scope":"b"}`, anyMedia, RepeatedParameter, "scope"},
		{"repeated JSON key, once escaped", jsonType, `{"scope":"a","\u0073cope":"b"}`, anyMedia, RepeatedParameter, "scope"},
		{"repeated field", "multipart/form-data; boundary=b", multipartBody("scope", "a", "scope", "b"), anyMedia, RepeatedParameter, "scope"},

		{"broken UTF-8", formType, "username=%ff", anyMedia, MalformedBody, ""},
		{"NUL", formType, "username=a%00b", anyMedia, MalformedBody, ""},
		{"cut escape", formType, "username=a%4", anyMedia, MalformedBody, ""},
		{"no escape", formType, "username=%zz", anyMedia, MalformedBody, ""},
		{"escape in a name", formType, "user%zz=a", anyMedia, MalformedBody, ""},
		{"semicolon", formType, "a=b;c=d", anyMedia, MalformedBody, ""},
		{"no name", formType, "=a", anyMedia, MalformedBody, ""},
		{"JSON as form", formType, `{"grant_type":"password"}`, anyMedia, MalformedBody, ""},
		{"multipart as form", formType, multipartBody("a", "b"), anyMedia, MalformedBody, ""},
		{"JSON with an = as form", formType, `{"scope":"a=b"}`, anyMedia, MalformedBody, ""},
		{"lone word that is no name", formType, "a=b&hunter2!", anyMedia, MalformedBody, ""},
		{"control character in a name", formType, "a=b&c%0a=d", anyMedia, MalformedBody, ""},
		{"broken UTF-8 in a name", formType, "a=b&%ff[]=d", anyMedia, MalformedBody, ""},
		{"repeated, a strange name", formType, "a=b&hunter2!=c&hunter2!=d", anyMedia, RepeatedParameter, ""},
		{"gzip as form", formType, "\x1f\x8b\x08\x00abc", anyMedia, MalformedBody, ""},

		{"form as JSON", jsonType, "a=b", anyMedia, MalformedBody, ""},
		{"nothing as JSON", jsonType, "", anyMedia, MalformedBody, ""},
		{"array", jsonType, `["a"]`, anyMedia, MalformedBody, ""},
		{"string", jsonType, `"a"`, anyMedia, MalformedBody, ""},
		{"null", jsonType, `null`, anyMedia, MalformedBody, ""},
		{"null value", jsonType, `{"a":null}`, anyMedia, MalformedBody, ""},
		{"array value", jsonType, `{"a":["b"]}`, anyMedia, MalformedBody, ""},
		{"object value", jsonType, `{"a":{}}`, anyMedia, MalformedBody, ""},
		{"fraction", jsonType, `{"a":1.5}`, anyMedia, MalformedBody, ""},
		{"integer with a point", jsonType, `{"a":1.0}`, anyMedia, MalformedBody, ""},
		{"exponent", jsonType, `{"a":1e3}`, anyMedia, MalformedBody, ""},
		{"comma at the end", jsonType, `{"a":"b",}`, anyMedia, MalformedBody, ""},
		{"no colon", jsonType, `{"a" "b"}`, anyMedia, MalformedBody, ""},
		{"number as key", jsonType, `{1:"b"}`, anyMedia, MalformedBody, ""},
		{"cut", jsonType, `{"a":"b"`, anyMedia, MalformedBody, ""},
		{"more after it", jsonType, `{"a":"b"}{}`, anyMedia, MalformedBody, ""},
		{"BOM", jsonType, "\ufeff{}", anyMedia, MalformedBody, ""},
		{"lone surrogate", jsonType, `{"password":"\ud800"}`, anyMedia, MalformedBody, ""},
		{"broken UTF-8 in JSON", jsonType, "{\"a\":\"\xff\"}", anyMedia, MalformedBody, ""},
		{"NUL in JSON", jsonType, `{"a":"\u0000"}`, anyMedia, MalformedBody, ""},
		{"odd key", jsonType, `{"a b":"c"}`, anyMedia, MalformedBody, ""},

		{"no boundary", "multipart/form-data", multipartBody("a", "b"), anyMedia, MalformedBody, ""},
		{"other boundary", "multipart/form-data; boundary=c", multipartBody("a", "b"), anyMedia, MalformedBody, ""},
		{"cut multipart", "multipart/form-data; boundary=b", strings.TrimSuffix(multipartBody("a", "b"), "--b--\r\n"), anyMedia, MalformedBody, ""},
		{"file", "multipart/form-data; boundary=b", strings.Replace(multipartBody("a", "b"), `"a"`, `"a"; filename=""`, 1), anyMedia, MalformedBody, ""},
		{"attachment", "multipart/form-data; boundary=b", strings.Replace(multipartBody("a", "b"), "form-data", "attachment", 1), anyMedia, MalformedBody, ""},
		{"quoted-printable", "multipart/form-data; boundary=b", strings.Replace(multipartBody("a", "b"), "\r\n\r\n", "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", 1), anyMedia, MalformedBody, ""},
		{"NUL in a field", "multipart/form-data; boundary=b", multipartBody("a", nul), anyMedia, MalformedBody, ""},

		{"too large", formType, "a=" + strings.Repeat("b", maxBody), anyMedia, BodyTooLarge, ""},
	}
	for _, c := range tests {
		form, err := read(c.contentType, c.body, c.accept)
		e := AsError(err)
		if err == nil || e.Code != InvalidRequest || e.Reason != c.reason || e.Param != c.param {
			t.Errorf("%s: got %v, %v; want %s %q", c.name, form, err, c.reason, c.param)
		}
		if len(form.parameters) != 0 {
			t.Errorf("%s: parameters beside an error", c.name)
		}
	}
}

// RFC 6749 §3.2: what is not recognised is ignored, however it is called.
func TestStrangeNamesAreNoReasonToRefuse(t *testing.T) {
	for kind, body := range map[string]string{
		formType:                          "tags%5B%5D=x&urn:x=1&scope=a&%E5%90%8D=b",
		jsonType:                          `{"$meta":"x","scope":"a","urn:x":1}`,
		"multipart/form-data; boundary=b": multipartBody("tags[]", "x", "scope", "a"),
	} {
		form, err := read(kind, body, anyMedia)
		if err != nil || form.Get("scope") != "a" {
			t.Errorf("%s: %v, %v", kind, form, err)
		}
		if form.String() != "form(scope)" {
			t.Errorf("%s: prints %s", kind, form)
		}
	}
}

func TestTwoContentTypesAreNone(t *testing.T) {
	r := httptest.NewRequest("POST", "/", strings.NewReader("a=b"))
	r.Header["Content-Type"] = []string{formType, jsonType}
	if _, err := ReadForm(httptest.NewRecorder(), r, anyMedia); AsError(err).Reason != UnsupportedMediaType {
		t.Fatal(err)
	}
}

// A body without Content-Length is capped while it is read, and its rest is not.
func TestChunkedBodyIsCapped(t *testing.T) {
	for _, size := range []int{maxBody, maxBody + 1, 4 << 20} {
		rest := strings.NewReader("a=" + strings.Repeat("b", size-2))
		r := httptest.NewRequest("POST", "/", rest)
		r.Header.Set("Content-Type", formType)
		r.ContentLength = -1
		form, err := ReadForm(httptest.NewRecorder(), r, anyMedia)
		if size > maxBody {
			if AsError(err).Reason != BodyTooLarge || rest.Len() < size-maxBody-4096 {
				t.Errorf("%d bytes: %v, %d left unread", size, err, rest.Len())
			}
		} else if err != nil || len(form.Get("a")) != size-2 {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// A hundred thousand parameters must cost no more than the body that holds them.
func TestManyParametersAreRefusedAtOnce(t *testing.T) {
	flood := strings.Repeat("&", maxBody/2)
	for i := range 9000 {
		flood += "&a" + strconv.Itoa(i)
	}
	start := time.Now()
	for _, body := range []string{flood, strings.Repeat("resource=&", 6000)} {
		if _, err := ParseQuery(body); AsError(err).Reason != MalformedBody {
			t.Errorf("got %v", err)
		}
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestNoErrorRepeatsTheBody(t *testing.T) {
	const secret = "hunter2"
	for _, body := range []string{
		"password=" + secret + "%", "password=" + secret + ";", "password=" + secret + "%00",
		secret + "\x01=a", "password=a&" + secret + "&" + secret,
		`{"password":"` + secret, `{"` + secret + ` ":"x"}`, secret,
	} {
		for _, kind := range []string{formType, jsonType, "multipart/form-data; boundary=b"} {
			if _, err := read(kind, body, anyMedia); err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s %q: %v", kind, body, err)
			}
		}
	}
}

func TestFormDoesNotPrintItsValues(t *testing.T) {
	form, _ := ParseQuery("password=hunter2&scope=")
	if form.String() != "form(password)" || form.GoString() != form.String() {
		t.Fatal(form.String())
	}
}
