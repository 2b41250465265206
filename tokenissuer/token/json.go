package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds nesting; no claim in use comes near.
const maxDepth = 16

// parseObject reads one JSON object, and nothing that two parsers could read
// in two ways: no member twice at any level, no broken UTF-8, no byte order
// mark, nothing after it. Numbers stay as they were written.
func parseObject(text []byte) (map[string]any, error) {
	// encoding/json replaces broken UTF-8 and its Decoder's Token is lenient
	// about commas, so both are asked before.
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, errors.New("not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	value, err := parseValue(dec, 0)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	return object, nil
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return parseMembers(dec, depth)
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := parseValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		return list, err
	}
	return t, nil
}

func parseMembers(dec *json.Decoder, depth int) (map[string]any, error) {
	object := map[string]any{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("a member without a name")
		}
		if _, twice := object[name]; twice {
			// RFC 7519 §4: duplicate names may be refused; the last-wins reading
			// that it also allows is what parser differentials are made of.
			return nil, errors.New("a member stands twice")
		}
		if object[name], err = parseValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return object, err
}

// optionalText returns a member that is a string or absent.
func optionalText(object map[string]any, name string) (string, error) {
	switch v := object[name].(type) {
	case string:
		return v, nil
	case nil:
		if _, null := object[name]; !null {
			return "", nil
		}
	}
	return "", fmt.Errorf("%s is not a string", name)
}

// texts returns an array of strings.
func texts(value any, name string) ([]string, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is neither a string nor an array of strings", name)
	}
	out := make([]string, len(list))
	for i, v := range list {
		if out[i], ok = v.(string); !ok {
			return nil, fmt.Errorf("%s has an element that is not a string", name)
		}
	}
	return out, nil
}

// seconds reads a NumericDate (RFC 7519 §2), which may have a fraction: round
// takes it to the side that makes the token good for less time.
func seconds(object map[string]any, name string, round func(float64) float64) (value int64, present bool, err error) {
	v, present := object[name]
	if !present {
		return 0, false, nil
	}
	n, ok := v.(json.Number)
	if !ok {
		return 0, true, fmt.Errorf("%s is not a number", name)
	}
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil && -maxSeconds <= i && i <= maxSeconds {
		return i, true, nil
	}
	f, err := n.Float64()
	if err != nil || math.Abs(f) > maxSeconds {
		return 0, true, fmt.Errorf("%s is out of range", name)
	}
	return int64(round(f)), true, nil
}

// maxSeconds is far from where adding a leeway could overflow, and exact in a
// float64.
const maxSeconds = 1 << 50
