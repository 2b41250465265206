package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
)

// The upstream answers every request with the same 100 bytes and parses no more
// than the end of the head, so that little of the machine goes to it.
var (
	upstreamBody    = []byte(`{"ok":true,"service":"bench-upstream","pad":"0123456789012345678901234567890123456789012345678901"}` + "\n")
	upstreamAddress string
)

// serveUpstream starts it in this process; `run` pins that to the generator's core.
func serveUpstream() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	upstreamAddress = listener.Addr().String()
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(upstreamBody), upstreamBody)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerAll(conn, answer)
		}
	}()
	return nil
}

// answerAll answers requests without a body until the client leaves.
func answerAll(conn net.Conn, answer []byte) {
	defer conn.Close()
	buffer, n := make([]byte, 32<<10), 0
	for n < len(buffer) {
		read, err := conn.Read(buffer[n:])
		if err != nil {
			return
		}
		n += read
		for {
			end := bytes.Index(buffer[:n], []byte("\r\n\r\n"))
			if end < 0 {
				break
			}
			if _, err := conn.Write(answer); err != nil {
				return
			}
			n = copy(buffer, buffer[end+4:n])
		}
	}
}

// pinSelf moves every thread of this process to a core, so that neither the
// load nor the upstream runs where the server does.
func pinSelf(core int) {
	cmd := exec.Command("taskset", "-a", "-cp", strconv.Itoa(core), strconv.Itoa(os.Getpid()))
	if said, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "not pinned: %v: %s\n", err, said)
	}
}
