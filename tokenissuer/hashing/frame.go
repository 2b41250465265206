package hashing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A frame is the length of what follows, a number, and a message. The answer to a
// job has the job's number: a process out of step cannot answer for another.
const frameHead = 4 + 8

func writeFrame(w io.Writer, number uint64, message []byte) error {
	b := make([]byte, 0, frameHead+len(message))
	b = binary.BigEndian.AppendUint32(b, uint32(8+len(message)))
	b = binary.BigEndian.AppendUint64(b, number)
	_, err := w.Write(append(b, message...))
	return err
}

// readFrame reads one frame with a message of at most so many bytes. The error
// is io.EOF where there is none at all.
func readFrame(r io.Reader, most int) (number uint64, message []byte, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(head[:])
	if length < 8 || uint64(length) > uint64(8+most) {
		return 0, nil, fmt.Errorf("%w: %d bytes", errMessage, length)
	}
	message = make([]byte, length-8)
	if _, err := io.ReadFull(r, message); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return binary.BigEndian.Uint64(head[4:]), message, nil
}
