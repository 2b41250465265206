package hashing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

const right = "correct horse battery staple"

var bcryptOfA = "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"

func TestJobIsDone(t *testing.T) {
	h := Hasher{memory: 64, passes: 1}
	made := h.do(job{kind: making, memory: 64, passes: 1, password: right})
	for _, c := range []struct {
		stored, password string
		want             byte
	}{
		{bcryptOfA, "a", same},
		{bcryptOfA, "b", different},
		{made.encoded, right, same},
		{made.encoded, "", different},
		{"hunter2", "hunter2", failed},
	} {
		if a := h.do(job{kind: matching, stored: c.stored, password: c.password}); a.kind != c.want {
			t.Errorf("%.20s, %q: %c", c.stored, c.password, a.kind)
		}
	}
}

func TestJobIsReadStrictly(t *testing.T) {
	match := job{kind: matching, stored: bcryptOfA, password: "a"}
	hash := job{kind: making, memory: 64, passes: 1, password: right}
	for name, b := range map[string][]byte{
		"nothing":                nil,
		"half a head":            match.encode()[:jobHead-1],
		"half a stored hash":     match.encode()[:jobHead+20],
		"too long":               append(match.encode(), make([]byte, maxJob)...),
		"unknown kind":           job{kind: 'x', stored: bcryptOfA}.encode(),
		"no kind":                job{stored: bcryptOfA}.encode(),
		"match without a hash":   job{kind: matching, password: "a"}.encode(),
		"match with memory":      job{kind: matching, memory: 64, stored: bcryptOfA}.encode(),
		"hash with a hash":       job{kind: making, memory: 64, passes: 1, stored: bcryptOfA}.encode(),
		"hash of no memory":      job{kind: making, passes: 1}.encode(),
		"hash of no pass":        job{kind: making, memory: 64}.encode(),
		"hash of all the memory": job{kind: making, memory: 1 << 31, passes: 1}.encode(),
		"hash that takes a day":  job{kind: making, memory: 64, passes: 1 << 31}.encode(),
		"long stored hash":       job{kind: matching, stored: strings.Repeat("a", maxStored+1)}.encode(),
	} {
		if _, err := decodeJob(b); !errors.Is(err, errMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, want := range []job{match, hash} {
		if got, err := decodeJob(want.encode()); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// The one answer that must not come by accident is "right".
func TestAnswerIsReadStrictly(t *testing.T) {
	match, hash := job{kind: matching, stored: bcryptOfA}, job{kind: making, memory: 64, passes: 1}
	good := hash.do().encode()
	for _, c := range []struct {
		name string
		to   job
		b    []byte
		want byte // 0: refused
	}{
		{"right", match, []byte{same}, same},
		{"wrong", match, []byte{different}, different},
		{"a hash", hash, good, made},
		{"nothing", match, nil, 0},
		{"zero", match, []byte{0}, 0},
		{"one", match, []byte{1}, 0},
		{"right and more", match, []byte{same, 0}, 0},
		{"right twice", match, []byte{same, same}, 0},
		{"a job of its own", match, []byte{matching}, 0},
		{"a failure", match, []byte{failed}, 0},
		{"a hash to a match", match, good, 0},
		{"right to a hash", hash, []byte{same}, 0},
		{"no hash", hash, []byte{made}, 0},
		{"half a hash", hash, good[:40], 0},
		{"hash and more", hash, append(bytes.Clone(good), 'A'), 0},
		{"another's hash", hash, append([]byte{made}, bcryptOfA...), 0},
		{"cheaper hash", job{kind: making, memory: 65, passes: 1}, good, 0},
		{"too long", hash, append(bytes.Clone(good), make([]byte, maxAnswer)...), 0},
	} {
		a, err := decodeAnswer(c.to, c.b)
		if a.kind != c.want || (err == nil) != (c.want != 0) {
			t.Errorf("%s: %c, %v", c.name, a.kind, err)
		}
	}
}

func TestFrameIsReadStrictly(t *testing.T) {
	frame := func(length uint32, rest string) string {
		return string(binary.BigEndian.AppendUint32(nil, length)) + rest
	}
	const number = "\x00\x00\x00\x00\x00\x00\x00\x07"
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"nothing":        {"", io.EOF},
		"half a length":  {"\x00\x00", io.ErrUnexpectedEOF},
		"half a number":  {frame(8, number[:5]), io.ErrUnexpectedEOF},
		"no message":     {frame(11, number), io.ErrUnexpectedEOF},
		"half a message": {frame(11, number+"ab"), io.ErrUnexpectedEOF},
		"too short":      {frame(7, number), errMessage},
		"too long":       {frame(13, number+"abcde"), errMessage},
		"all memory":     {frame(1<<32-1, number), errMessage},
		"text":           {"panic: runtime error", errMessage},
	} {
		if _, _, err := readFrame(strings.NewReader(c.in), 4); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var b bytes.Buffer
	if err := writeFrame(&b, 7, []byte("abcd")); err != nil || b.String() != frame(12, number+"abcd") {
		t.Errorf("%q, %v", b.String(), err)
	}
	if n, message, err := readFrame(&b, 4); n != 7 || string(message) != "abcd" || err != nil {
		t.Errorf("%d %q, %v", n, message, err)
	}
}

func TestServerEndsAtTheFirstThingItDoesNotUnderstand(t *testing.T) {
	var good, bad, out bytes.Buffer
	j := job{kind: matching, stored: bcryptOfA, password: "a"}
	_ = writeFrame(&good, 3, j.encode())
	_ = writeFrame(&bad, 4, []byte("garbage"))
	if err := serve(io.MultiReader(&good, &bad, strings.NewReader("more")), &out); !errors.Is(err, errMessage) {
		t.Error(err)
	}
	if n, message, err := readFrame(&out, maxAnswer); n != 3 || string(message) != string(same) || err != nil {
		t.Errorf("%d %q, %v", n, message, err)
	}
	if out.Len() != 0 {
		t.Errorf("%d bytes too many", out.Len())
	}
	if err := serve(strings.NewReader(""), &out); err != nil {
		t.Errorf("at the end: %v", err)
	}
}

func FuzzJob(f *testing.F) {
	f.Add(job{kind: matching, stored: bcryptOfA, password: "a"}.encode())
	f.Add(job{kind: making, memory: 64, passes: 1, password: right}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if j, err := decodeJob(b); err == nil && !bytes.Equal(j.encode(), b) {
			t.Fatalf("%q was read as %+v", b, j)
		}
	})
}
