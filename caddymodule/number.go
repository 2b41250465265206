package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Number is a whole number, or a placeholder that stands for one.
type Number string

// MarshalJSON writes a number as a number and a placeholder as text.
func (n Number) MarshalJSON() ([]byte, error) {
	if _, err := strconv.Atoi(string(n)); err == nil {
		return []byte(n), nil
	}
	return json.Marshal(string(n))
}

// UnmarshalJSON reads either.
func (n *Number) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		return json.Unmarshal(b, (*string)(n))
	}
	i, err := strconv.Atoi(string(b))
	if err != nil {
		return fmt.Errorf("%s is not a whole number", b)
	}
	*n = Number(strconv.Itoa(i))
	return nil
}
