package hashing

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Main is the main function of a process that a Pool has started. What asks to
// end the program is not for it: it ends with the program that started it, which
// may still have people to sign in.
func Main() error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	closeInherited()
	endFirst()
	return serve(os.Stdin, os.Stdout)
}

// serve does jobs until there are no more.
func serve(in io.Reader, out io.Writer) error {
	for {
		number, message, err := readFrame(in, maxJob)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		j, err := decodeJob(message)
		if err != nil {
			return err
		}
		if err := writeFrame(out, number, j.do().encode()); err != nil {
			return err
		}
	}
}
