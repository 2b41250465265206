package oauth

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	errJSON      = errors.New("not one JSON object")
	errScalar    = errors.New("JSON value that is no string, integer or boolean")
	errMultipart = errors.New("not a multipart form of plain fields")
)

// parseJSON reads an object of one level. Strings are taken as they are,
// integers by their digits, booleans as true and false; null, an array or an
// object is no parameter.
//
// encoding/json hides three things that have to be seen: a repeated key (so the
// tokens are read one by one), broken UTF-8 and lone surrogates (both become
// U+FFFD, so two different passwords would be one).
func parseJSON(body string, value func(json.Token) (string, error)) (Form, error) {
	if !utf8.ValidString(body) {
		return Form{}, malformed(errUTF8)
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return Form{}, malformed(errJSON)
	}
	var f Form
	for {
		t, err := d.Token()
		if err != nil {
			return Form{}, malformed(errJSON)
		}
		name, isKey := t.(string)
		if !isKey { // in an object only its end is no string here
			break
		}
		member, err := d.Token()
		if err != nil {
			return Form{}, malformed(errJSON)
		}
		text, err := value(member)
		if err == nil {
			err = f.add(name, text, true)
		}
		if err != nil {
			return Form{}, err
		}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Form{}, malformed(errJSON)
	}
	return f, nil
}

func jsonText(t json.Token) (string, error) {
	v, ok := t.(string)
	switch {
	case !ok:
		return "", malformed(errScalar)
	case strings.ContainsRune(v, utf8.RuneError):
		return "", malformed(errUTF8)
	}
	return v, nil
}

func jsonValue(t json.Token) (string, error) {
	switch v := t.(type) {
	case string:
		return jsonText(v)
	case bool:
		return strconv.FormatBool(v), nil
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "", malformed(errScalar)
		}
		return v.String(), nil
	default:
		return "", malformed(errScalar)
	}
}

// parseMultipart reads multipart/form-data (RFC 7578) of plain fields; a file is
// refused. The body is in memory and under its cap already.
func parseMultipart(body, contentType string) (Form, error) {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || parameters["boundary"] == "" {
		return Form{}, malformed(errMultipart)
	}
	var f Form
	for r := multipart.NewReader(strings.NewReader(body), parameters["boundary"]); ; {
		// The raw part: quoted-printable (deprecated, RFC 7578 §4.7) is not undone.
		part, err := r.NextRawPart()
		if err == io.EOF { //nolint:errorlint // bare after the last boundary, wrapped where the body was cut
			return f, nil
		}
		if err != nil {
			return Form{}, malformed(errMultipart)
		}
		name, ok := fieldName(part)
		if !ok {
			return Form{}, malformed(errMultipart)
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return Form{}, malformed(errMultipart)
		}
		if err := f.add(name, string(value), true); err != nil {
			return Form{}, err
		}
	}
}

func fieldName(part *multipart.Part) (string, bool) {
	dispositions := part.Header["Content-Disposition"]
	if len(dispositions) != 1 {
		return "", false
	}
	kind, parameters, err := mime.ParseMediaType(dispositions[0])
	if _, file := parameters["filename"]; err != nil || kind != "form-data" || file {
		return "", false
	}
	switch strings.ToLower(part.Header.Get("Content-Transfer-Encoding")) {
	case "", "7bit", "8bit", "binary":
		return parameters["name"], true
	default:
		return "", false
	}
}
