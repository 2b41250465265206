package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
)

// messages is the gateway that servers hand one-time codes to.
var messages = &inbox{codes: map[string]string{}}

type inbox struct {
	sync.Mutex
	url   string
	codes map[string]string // the last one, by number
	given int               // numbers
}

// open starts it in this process.
func (i *inbox) open() {
	i.url = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ To, Code string }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		i.Lock()
		defer i.Unlock()
		i.codes[m.To] = m.Code
	})).URL
}

// number is one that nobody else has.
func (i *inbox) number() string {
	i.Lock()
	defer i.Unlock()
	i.given++
	return fmt.Sprintf("+86136%08d", i.given)
}

// take is the code that was sent to a number; it is there when the sending
// request is answered, because the server waits for the gateway.
func (i *inbox) take(number string) string {
	i.Lock()
	defer i.Unlock()
	code := i.codes[number]
	delete(i.codes, number)
	return code
}

// field is one text of a JSON object.
func field(body []byte, name string) string {
	var all map[string]any
	if json.Unmarshal(body, &all) != nil {
		return ""
	}
	text, _ := all[name].(string)
	return text
}
