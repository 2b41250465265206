package move

import (
	"bytes"
	"cmp"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// row is the values of one, as they are written in a line: an int64, a string, nil,
// bytes or a map.
type row []any

// cells are where a database puts the values of a row.
func (t *table) cells() []any {
	into := make([]any, len(t.columns))
	for i, c := range t.columns {
		switch c.kind {
		case number:
			into[i] = new(int64)
		case binary:
			into[i] = new([]byte)
		default:
			into[i] = new(sql.NullString)
		}
	}
	return into
}

// read turns what a database put there into a row.
func (t *table) read(cells []any) (row, error) {
	r := make(row, len(cells))
	for i, c := range t.columns {
		switch v := cells[i].(type) {
		case *int64:
			r[i] = *v
		case *[]byte:
			if *v == nil {
				*v = []byte{} // an empty one, not an absent one
			}
			r[i] = *v
		case *sql.NullString:
			if !v.Valid {
				r[i] = nil
				continue
			}
			if c.kind != object {
				r[i] = portable(v.String)
				continue
			}
			m := map[string]string{}
			if err := json.Unmarshal([]byte(v.String), &m); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			r[i] = m
		}
	}
	return r, nil
}

// portable is a text as every database keeps it. What it takes out no client, no
// name and no address can have had.
func portable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// line writes a row, or whatever else a line is.
func line(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b) // ends it with a line feed
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// parse reads the row of a line.
func (t *table) parse(text []byte) (row, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var r row
	if err := d.Decode(&r); err != nil {
		return nil, err
	}
	if d.InputOffset() != int64(len(text)) {
		return nil, errors.New("has something behind it")
	}
	if len(r) != len(t.columns) {
		return nil, fmt.Errorf("has %d values, expected %d", len(r), len(t.columns))
	}
	for i, c := range t.columns {
		v, expected := c.value(r[i])
		if expected != "" {
			return nil, fmt.Errorf("%s: expected %s", c.name, expected)
		}
		r[i] = v
	}
	return r, nil
}

// value is a parsed JSON value as its column has it, or what was expected instead.
func (c column) value(v any) (_ any, expected string) {
	switch c.kind {
	case number:
		n, _ := v.(json.Number)
		i, err := n.Int64()
		if err != nil {
			return nil, "a whole number of 64 bits"
		}
		return i, ""
	case binary:
		s, ok := v.(string)
		b, err := base64.StdEncoding.Strict().DecodeString(s)
		if !ok || err != nil {
			return nil, "base64"
		}
		return b, ""
	case object:
		parsed, ok := v.(map[string]any)
		m := make(map[string]string, len(parsed))
		for name, value := range parsed {
			if m[name], ok = value.(string); !ok {
				break
			}
		}
		if !ok {
			return nil, "an object of texts"
		}
		return m, ""
	case optional:
		if v == nil {
			return nil, ""
		}
	}
	s, ok := v.(string)
	if !ok {
		return nil, "a text"
	}
	return s, ""
}

// bind are the values as a database takes them.
func (t *table) bind(r row) (row, error) {
	r = slices.Clone(r)
	for i, v := range r {
		m, ok := v.(map[string]string)
		if !ok {
			continue
		}
		text, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		r[i] = string(text)
	}
	return r, nil
}

// after reports whether a row comes after another one in its table.
func (t *table) after(r, before row) bool {
	for i := range t.key() {
		order := 0
		switch v := r[i].(type) {
		case int64:
			order = cmp.Compare(v, before[i].(int64))
		case string:
			order = strings.Compare(v, before[i].(string))
		}
		if order != 0 {
			return order > 0
		}
	}
	return false
}
