package hashing

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// The kinds of jobs and of answers, each the first byte of a message. The
// numbers are none that an empty or cleared message has by accident.
const (
	making   byte = 'H'
	matching byte = 'M'

	made      byte = 'h'
	same      byte = 'y'
	different byte = 'n'
	failed    byte = 'e'
)

// The most that messages may hold. A longer job is done where it is asked for.
const (
	maxJob    = 16 << 10
	maxAnswer = 1 + maxStored
)

var errMessage = errors.New("malformed message")

// job is one hash: a new one of a password, or the one that tells whether a
// stored one is of a password.
type job struct {
	kind           byte
	memory, passes uint32 // of a new one
	stored         string
	password       string
	cost           time.Duration // see Stored; not sent
}

// jobHead is what encode writes before its texts.
const jobHead = 1 + 4 + 4 + 2

func (j job) fits() bool { return jobHead+len(j.stored)+len(j.password) <= maxJob }

// encode: kind, memory, passes, the length of stored, stored, and the password up
// to the end.
func (j job) encode() []byte {
	b := make([]byte, 0, jobHead+len(j.stored)+len(j.password))
	b = append(b, j.kind)
	b = binary.BigEndian.AppendUint32(b, j.memory)
	b = binary.BigEndian.AppendUint32(b, j.passes)
	b = binary.BigEndian.AppendUint16(b, uint16(len(j.stored))) // Decode has bounded it
	b = append(b, j.stored...)
	return append(b, j.password...)
}

func decodeJob(b []byte) (job, error) {
	if len(b) < jobHead || len(b) > maxJob {
		return job{}, errMessage
	}
	j := job{kind: b[0], memory: binary.BigEndian.Uint32(b[1:]), passes: binary.BigEndian.Uint32(b[5:])}
	length, rest := int(binary.BigEndian.Uint16(b[9:])), b[jobHead:]
	if length > len(rest) || length > maxStored {
		return job{}, errMessage
	}
	j.stored, j.password = string(rest[:length]), string(rest[length:])
	switch {
	case j.kind == making && j.stored == "" && argon2Bounded(j.memory, j.passes, 1):
	case j.kind == matching && j.stored != "" && j.memory == 0 && j.passes == 0:
	default:
		return job{}, errMessage
	}
	return j, nil
}

// do computes.
func (j job) do() answer {
	switch j.kind {
	case making:
		h, err := argon2id(j.memory, j.passes)
		if err != nil {
			return answer{kind: failed}
		}
		digest, err := h.Hash(j.password)
		if err != nil {
			return answer{kind: failed}
		}
		return answer{kind: made, encoded: digest.Encode()}
	case matching:
		s, err := (&Hasher{}).Decode(j.stored)
		switch {
		case err != nil:
			return answer{kind: failed}
		case s.digest.Match(j.password):
			return answer{kind: same}
		}
		return answer{kind: different}
	}
	return answer{kind: failed}
}

// answer is what became of a job.
type answer struct {
	kind    byte
	encoded string // of a made one
}

func (a answer) encode() []byte { return append([]byte{a.kind}, a.encoded...) }

// decodeAnswer takes an answer only as this job can have it.
func decodeAnswer(j job, b []byte) (answer, error) {
	if len(b) == 0 || len(b) > maxAnswer {
		return answer{}, errMessage
	}
	a := answer{kind: b[0], encoded: string(b[1:])}
	switch {
	case j.kind == matching && (a.kind == same || a.kind == different) && a.encoded == "":
		return a, nil
	case j.kind == making && a.kind == made:
		h := Hasher{memory: j.memory, passes: j.passes}
		s, err := h.Decode(a.encoded)
		if err == nil && strings.HasPrefix(a.encoded, h.prefix()) && !s.Weak && len(s.digest.Key()) == 32 && len(s.digest.Salt()) == 16 {
			return a, nil
		}
	}
	return answer{}, errMessage
}
