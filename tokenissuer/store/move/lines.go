package move

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"
)

// ErrFile is of an export that cannot be taken as one. What wraps it names the line.
var ErrFile = errors.New("is not a whole export")

// ofFile is of an export, too: it cannot be read, or one of its lines not be stored.
type ofFile struct{ error }

func (e ofFile) Unwrap() error { return e.error }

// OfFile says whether an import failed for its export. Everything else is the store's to
// answer for, or its database's.
func OfFile(err error) bool {
	_, of := errors.AsType[ofFile](err)
	return of || errors.Is(err, ErrFile)
}

// Begins says whether a file that begins so is an export, for who wants something else.
func Begins(head []byte) bool {
	return bytes.HasPrefix(head, []byte(`{"format":"`+format+`"`))
}

// reader reads the lines of an export, one at a time.
type reader struct {
	in    *bufio.Scanner
	n     int // the line that was read last, from 1
	sum   hash.Hash
	left  bool // at the end is a line without an end
	moved Moved
}

func newReader(from io.Reader) *reader {
	in := bufio.NewScanner(from)
	in.Buffer(make([]byte, 64<<10), longest)
	r := &reader{in: in, sum: sha256.New(), moved: Moved{Rows: map[string]int64{}}}
	in.Split(r.split)
	return r
}

// split splits off lines that are ended. What is left at the end of the file was
// cut off.
func (r *reader) split(data []byte, _ bool) (advance int, token []byte, err error) {
	r.left = len(data) > 0
	if n := bytes.IndexByte(data, '\n'); n >= 0 {
		return n + 1, data[:n], nil
	}
	return 0, nil, nil
}

// wrong says what is the matter with the line that was read last.
func (r *reader) wrong(format string, args ...any) error {
	return fmt.Errorf("%w: line %d %w", ErrFile, r.n, fmt.Errorf(format, args...))
}

// next reads a line. The file must not end here.
func (r *reader) next() ([]byte, error) {
	if r.in.Scan() {
		r.n++
		return r.in.Bytes(), nil
	}
	err := r.in.Err()
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		r.n++
		return nil, r.wrong("is longer than %d bytes", longest)
	case err != nil:
		return nil, ofFile{fmt.Errorf("reading behind line %d: %w", r.n, err)}
	case r.n == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrFile)
	}
	return nil, fmt.Errorf("%w: it ends behind line %d: it was cut off", ErrFile, r.n)
}

func (r *reader) add(text []byte) {
	r.sum.Write(text)
	r.sum.Write([]byte{'\n'})
}

// strict reads the object of a line that is no row.
func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.InputOffset() != int64(len(text)) {
		return errors.New("something is behind it")
	}
	return nil
}

// each reads a whole export and hands over its rows. Only when it returns nil is
// the file what it says.
func (r *reader) each(begin func(*table) error, do func(*table, row) error, done func(*table) error) error {
	text, err := r.next()
	if err != nil {
		return err
	}
	var h header
	if err := strict(text, &h); err != nil || h.Format != format {
		return r.wrong(`is not the beginning of an export: expected {"format":%q,"version":%d}`, format, version)
	}
	if h.Version != version {
		return r.wrong("says version %d, this program knows %d: take the program that wrote it", h.Version, version)
	}
	r.add(text)
	if text, err = r.next(); err != nil {
		return err
	}
	for i := range tables {
		t := &tables[i]
		if err := r.begins(t, text); err != nil {
			return err
		}
		r.add(text)
		if err := begin(t); err != nil {
			return err
		}
		if text, err = r.rows(t, do); err != nil {
			return err
		}
		if err := done(t); err != nil {
			return err
		}
	}
	return r.ends(text)
}

// begins looks at the line before the rows of a table.
func (r *reader) begins(t *table, text []byte) error {
	var s section
	if err := strict(text, &s); err != nil {
		return r.wrong(`is not what it should be: expected {"table":%q,…}`, t.name)
	}
	if s.Table != t.name {
		if !slices.ContainsFunc(tables, func(t table) bool { return t.name == s.Table }) {
			return r.wrong("begins a table %q that this program does not know", s.Table)
		}
		return r.wrong("begins the table %s, expected %s", s.Table, t.name)
	}
	if err := t.differ(s.Columns, "the export"); err != nil {
		return r.wrong("%w", err)
	}
	if !slices.Equal(s.Columns, t.names()) {
		return r.wrong("has the columns of %s in another order, expected %s", t.name, strings.Join(t.names(), " "))
	}
	return nil
}

// rows hands over the rows of a table and returns the line behind them.
func (r *reader) rows(t *table, do func(*table, row) error) ([]byte, error) {
	var before row
	r.moved.Rows[t.name] = 0
	for {
		text, err := r.next()
		if err != nil {
			return nil, err
		}
		if len(text) == 0 || text[0] != '[' {
			return text, nil
		}
		values, err := t.parse(text)
		if err != nil {
			return nil, r.wrong("cannot be a row of %s: %w", t.name, err)
		}
		if before != nil && !t.after(values, before) {
			return nil, r.wrong("is a row of %s that does not come after the one before it: it is there twice, or out of order", t.name)
		}
		before = values
		r.add(text)
		if err := do(t, values); err != nil {
			return nil, err
		}
		r.moved.Rows[t.name]++
		r.moved.Sealed += t.sealed(values)
	}
}

// ends compares what was read with what the last line says.
func (r *reader) ends(text []byte) error {
	var e end
	if err := strict(text, &e); err != nil {
		return r.wrong(`is not the end: expected {"end":…}`)
	}
	r.moved.SHA256 = hex.EncodeToString(r.sum.Sum(nil))
	switch {
	case e.SHA256 != r.moved.SHA256:
		return r.wrong("says that the lines before have the SHA-256 %.12s…, they have %.12s…: the file was changed", e.SHA256, r.moved.SHA256)
	case !maps.Equal(e.End, r.moved.Rows):
		return r.wrong("does not say how many rows there were")
	}
	return r.over()
}

// over says whether nothing is behind the end.
func (r *reader) over() error {
	if r.in.Scan() {
		r.n++
		return r.wrong("is behind the end")
	}
	if err := r.in.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return ofFile{fmt.Errorf("reading behind line %d: %w", r.n, err)}
	} else if err != nil || r.left {
		return fmt.Errorf("%w: something is behind line %d, the end", ErrFile, r.n)
	}
	return nil
}

// Check reads an export to its end and stores nothing.
func Check(from io.Reader) (Moved, error) {
	r := newReader(from)
	nothing := func(*table) error { return nil }
	err := r.each(nothing, func(*table, row) error { return nil }, nothing)
	return r.moved, err
}
