package oauth

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The limits of one request. A body of a token request is a few hundred bytes
// with a dozen parameters; both leave room for a long client assertion.
const (
	maxBody       = 64 << 10
	maxParameters = 64
	maxNamed      = 64 // a longer parameter name is not repeated in an error
)

// bodyIn is how long a body may take in all. Servers end one that stalls, and by default
// none that goes on by a byte a minute.
const bodyIn = 30 * time.Second

// Media is a set of body encodings an endpoint reads.
type Media uint8

// The encodings of http-api: a form is RFC 6749's own, the others are what the
// documented APIs and their clients send.
const (
	FormEncoded Media = 1 << iota
	JSON
	Multipart
)

// Form is the parameters of one request, each at most once (RFC 6749 §3.2;
// only `resource` may repeat, RFC 8707 §2). It cannot be changed and it does not
// print its values, because secrets are among them.
type Form struct{ parameters []parameter }

type parameter struct{ name, value string }

// Get returns a parameter's value. A parameter sent without a value counts as
// omitted (RFC 6749 §3.2), so "" says absent.
func (f Form) Get(name string) string {
	for i := range f.parameters {
		if f.parameters[i].name == name {
			return f.parameters[i].value
		}
	}
	return ""
}

// List returns every value of a parameter that may repeat, in order.
func (f Form) List(name string) []string {
	var values []string
	for _, p := range f.parameters {
		if p.name == name && p.value != "" {
			values = append(values, p.value)
		}
	}
	return values
}

// Names returns the names sent with a value, in order, each once.
func (f Form) Names() []string {
	names := make([]string, 0, len(f.parameters))
	for i, p := range f.parameters {
		if p.value != "" && f.find(p.name, i) < 0 {
			names = append(names, p.name)
		}
	}
	return names
}

// Sent returns the names that were sent, those without a value too, in order.
func (f Form) Sent() []string {
	names := make([]string, 0, len(f.parameters))
	for _, p := range f.parameters {
		names = append(names, p.name)
	}
	return names
}

// String names the parameters and hides what they hold.
func (f Form) String() string {
	strange := func(name string) bool { return !isName(name) } // can be half a password that was not escaped
	return "form(" + strings.Join(slices.DeleteFunc(f.Names(), strange), " ") + ")"
}

// GoString is String, so that %#v shows no secret either.
func (f Form) GoString() string { return f.String() }

// find returns the first of the leading n parameters with a value that has the
// name, or -1.
func (f Form) find(name string, n int) int {
	for i := range f.parameters[:n] {
		if f.parameters[i].name == name && f.parameters[i].value != "" {
			return i
		}
	}
	return -1
}

// Why a body was refused: for the log. No cause repeats what was sent, for what
// was sent may be half a password.
var (
	errUTF8      = errors.New("not UTF-8, or with a NUL")
	errEscape    = errors.New("invalid percent escape")
	errSemicolon = errors.New("semicolon as separator")
	errName      = errors.New("not a parameter name")
	errNames     = errors.New("no parameter name among them")
	errMany      = errors.New("too many parameters")
	errRead      = errors.New("body could not be read to its end")
	errType      = errors.New("no content type that is read here")
)

func malformed(cause error) *Error { return Wrap(InvalidRequest, MalformedBody, cause) }

// ReadForm reads the parameters of a request from its body and from nowhere
// else: RFC 6749 §2.3.1 forbids credentials in the request URI, so the query is
// not looked at.
func ReadForm(w http.ResponseWriter, r *http.Request, accept Media) (Form, error) {
	return whole(readAs(w, r, accept, jsonValue))
}

// ReadTexts is ReadForm for what is stored as it was sent: in JSON every member
// is a text, for 012 and 12 are two texts and one number. A name that no form has is
// kept even alone: who knows all names says what is wrong with it.
func ReadTexts(w http.ResponseWriter, r *http.Request, accept Media) (Form, error) {
	return readAs(w, r, accept, jsonText)
}

// readAs reads a body; value says what a member of a JSON object may be.
func readAs(w http.ResponseWriter, r *http.Request, accept Media, value func(json.Token) (string, error)) (Form, error) {
	media, contentType := mediaOf(r.Header)
	if media&accept == 0 {
		return Form{}, Wrap(InvalidRequest, UnsupportedMediaType, errType)
	}
	body, err := readBody(w, r)
	if err != nil {
		return Form{}, err
	}
	switch media {
	case FormEncoded:
		return ParseQuery(body)
	case JSON:
		return parseJSON(body, value)
	default:
		return whole(parseMultipart(body, contentType))
	}
}

// mediaOf returns the encoding the request declares, 0 for none that is known.
// Parameters such as charset are ignored: everything here is UTF-8.
func mediaOf(h http.Header) (Media, string) {
	fields := h["Content-Type"]
	if len(fields) != 1 {
		return 0, ""
	}
	kind, _, _ := strings.Cut(fields[0], ";")
	kind = strings.Trim(kind, " \t")
	switch {
	case strings.EqualFold(kind, "application/x-www-form-urlencoded"):
		return FormEncoded, fields[0]
	case strings.EqualFold(kind, "application/json"):
		return JSON, fields[0]
	case strings.EqualFold(kind, "multipart/form-data"):
		return Multipart, fields[0]
	default:
		return 0, ""
	}
}

func readBody(w http.ResponseWriter, r *http.Request) (string, error) {
	if r.Body == nil {
		return "", nil
	}
	if r.ContentLength > maxBody { // answered without waiting for a slow sender
		return "", Fail(InvalidRequest, BodyTooLarge)
	}
	buf := make([]byte, 0, max(r.ContentLength+1, 512)) // +1: room to see the end
	body := http.MaxBytesReader(w, r.Body, maxBody)
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyIn)) // where there is none to set, the server's own time-outs hold
	for {
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			_ = connection.SetReadDeadline(time.Time{}) // else it would end the request while it is worked on
			return string(buf), nil
		case err != nil:
			if _, large := errors.AsType[*http.MaxBytesError](err); large {
				return "", Fail(InvalidRequest, BodyTooLarge)
			}
			return "", malformed(errors.Join(errRead, err))
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
}

// ParseQuery parses application/x-www-form-urlencoded text: the body of a form,
// or the query of an endpoint that reads one.
func ParseQuery(text string) (Form, error) { return whole(parseQuery(text)) }

// whole refuses a body none of whose names could be meant: with an = in it, JSON
// or XML of one line can pass for a form.
func whole(f Form, err error) (Form, error) {
	meant := func(p parameter) bool { return isName(p.name) }
	if err != nil || len(f.parameters) == 0 || slices.ContainsFunc(f.parameters, meant) {
		return f, err
	}
	return Form{}, malformed(errNames)
}

func parseQuery(text string) (Form, error) {
	f := Form{parameters: make([]parameter, 0, min(strings.Count(text, "&")+1, maxParameters))}
	for text != "" {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		if pair == "" {
			continue
		}
		if strings.Contains(pair, ";") {
			return Form{}, malformed(errSemicolon)
		}
		name, value, assigned := strings.Cut(pair, "=")
		name, ok := unescape(name)
		if ok {
			value, ok = unescape(value)
		}
		if !ok {
			return Form{}, malformed(errEscape)
		}
		if err := f.add(name, value, assigned); err != nil {
			return Form{}, err
		}
	}
	return f, nil
}

// add appends one parameter. Names outside the grammar are kept like others, for
// what is not recognised is to be ignored (RFC 6749 §3.2); who knows all names of
// a form can refuse them. named says that there was a value: a lone word between
// two ampersands can be the rest of a password that was not escaped, which no
// error may repeat.
func (f *Form) add(name, value string, named bool) error {
	switch {
	case len(f.parameters) == maxParameters:
		return malformed(errMany)
	case !isName(name) && (!named || name == "" || strings.ContainsFunc(name, unprintable)):
		return malformed(errName)
	case !utf8.ValidString(value) || strings.IndexByte(value, 0) >= 0:
		return malformed(errUTF8)
	}
	if name != "resource" {
		for i := range f.parameters {
			if f.parameters[i].name != name {
				continue
			}
			if !named || len(name) > maxNamed || !isName(name) {
				name = ""
			}
			return FailParam(InvalidRequest, RepeatedParameter, name)
		}
	}
	f.parameters = append(f.parameters, parameter{name, value})
	return nil
}

// unprintable finds what no name has: control characters and broken UTF-8.
func unprintable(c rune) bool { return c < ' ' || c == 0x7f || c == utf8.RuneError }

// isName is param-name of RFC 6749 §8.2. It is also what finds a body that is
// not what its type says: JSON, XML and prose have no such names.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.') {
			return false
		}
	}
	return s != ""
}
