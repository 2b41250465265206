package oauth

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func texts(contentType, body string, accept Media) (Form, error) {
	r := httptest.NewRequest("POST", "/signup?username=query", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return ReadTexts(httptest.NewRecorder(), r, accept)
}

func TestTextsAreTextsAndNothingElse(t *testing.T) {
	for body, reason := range map[string]Reason{
		`{"username":"ann","locale":""}`:      "",
		`{}`:                                  "",
		`{"username":12}`:                     MalformedBody,
		`{"username":true}`:                   MalformedBody,
		`{"username":null}`:                   MalformedBody,
		`{"username":["ann"]}`:                MalformedBody,
		`{"username":{"a":"ann"}}`:            MalformedBody,
		`{"username":"ann"`:                   MalformedBody,
		`{"username":"ann"} {}`:               MalformedBody,
		`{"username":"\ud800"}`:               MalformedBody,
		`{"username":"a\u0000"}`:              MalformedBody,
		`"ann"`:                               MalformedBody,
		``:                                    MalformedBody,
		`{"username":"ann","username":"ann"}`: RepeatedParameter,
	} {
		_, err := texts(jsonType, body, JSON)
		var got Reason
		if err != nil {
			got = AsError(err).Reason
		}
		if got != reason {
			t.Errorf("%s: %q, want %q", body, got, reason)
		}
	}
	if _, err := texts(formType, "username=ann", JSON); AsError(err).Reason != UnsupportedMediaType {
		t.Error(err)
	}
}

// What is sent without a value takes something away: it must be seen.
func TestSentNamesWhatHasNoValueToo(t *testing.T) {
	for contentType, body := range map[string]string{jsonType: `{"name":"Ann","nickname":""}`, formType: "name=Ann&nickname="} {
		form, err := texts(contentType, body, anyMedia)
		if err != nil {
			t.Fatal(err)
		}
		if got := form.Sent(); !slices.Equal(got, []string{"name", "nickname"}) || !slices.Equal(form.Names(), []string{"name"}) {
			t.Errorf("%v of %v", got, form)
		}
	}
}
