package portal

import (
	"bytes"
	"encoding/gob"
	"maps"
	"net/http"
	"strings"
	"time"
)

// A form that is not taken leads back to its page by 303, as one that is taken
// leads on: to load a page again, or to go back to it, must not send a form once
// more. What was wrong and what was typed travel in the address, sealed for this
// browser, this page and whoever is signed in, so that no link can put words into
// our mouth. A password never travels.

// wrongParam carries it.
const wrongParam = "wrong"

// turned is a form that was not taken.
type turned struct {
	Expires time.Time
	Problem problem
	Typed   map[string]string
}

// turnBack leads to the page at path, which says what is wrong. false: an address
// has no room for it, and nothing is answered.
func (v *visit) turnBack(path string, wrong problem, typed map[string]string) (bool, error) {
	var plain bytes.Buffer
	if err := gob.NewEncoder(&plain).Encode(turned{v.now.Add(pendingFor), wrong, typed}); err != nil {
		return false, err
	}
	sealed := encoding.EncodeToString(v.p.sealer.Seal(nil, nil, plain.Bytes(), v.wrongFor(path)))
	if len(sealed)+len(v.state) > maxState {
		return false, nil
	}
	if v.p.o.NotTaken != nil {
		v.p.o.NotTaken(v.r)
	}
	return true, v.see(v.href(path, wrongParam, sealed))
}

// wrongFor is what it is sealed for. It is longer than what p_state is sealed for:
// neither is ever taken for the other.
func (v *visit) wrongFor(path string) []byte {
	hash := v.browser.hash()
	return append(hash[:], strings.Join([]string{wrongParam, path, v.sessionOf(path)}, "\x00")...)
}

// hear takes in what an address says of a form before. What is not ours, or too
// old, is as if it were not there.
func (v *visit) hear() {
	sealed, err := encoding.DecodeString(v.form.Get(wrongParam))
	if err != nil || len(sealed) == 0 {
		return
	}
	plain, err := v.p.sealer.Open(nil, nil, sealed, v.wrongFor(v.r.URL.Path))
	if err != nil {
		return
	}
	var t turned
	if err := gob.NewDecoder(bytes.NewReader(plain)).Decode(&t); err != nil || !v.now.Before(t.Expires) { //nolint:gosec // what was sealed here
		return
	}
	v.wrong, v.before = &t.Problem, t
}

// typed is what a field of the form had: of this one, or of that which was not
// taken a moment ago.
func (v *visit) typed(field string) string {
	if v.r.Method == http.MethodPost {
		return v.form.Get(field)
	}
	return v.before.Typed[field]
}

// allTyped is what the page shows again of its form.
func (v *visit) allTyped() map[string]string {
	typed := map[string]string{}
	for _, field := range routes[v.r.URL.Path].fields {
		typed[field] = v.form.Get(field)
	}
	maps.DeleteFunc(typed, func(field, text string) bool { return text == "" || strings.HasSuffix(field, "password") })
	return typed
}
