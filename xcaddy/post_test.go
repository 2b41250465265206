package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"sync"

	"github.com/emersion/go-smtp"
	"github.com/rogpeppe/go-internal/testscript"
)

// post is what carries the messages of a story: a mail server at $MAIL and a
// webhook at $HOOK.
type post struct {
	mu    sync.Mutex
	sent  int
	codes map[string]string // the last one, by address
	close []func()
}

// posts is the key of a story's post.
type posts struct{}

// postOffice opens or closes the post, or says what it carried:
//
//	post open
//	post close
//	post code VARIABLE ADDRESS     the last code that the address got
//	post carried NUMBER            of messages, in all
func postOffice(ts *testscript.TestScript, neg bool, args []string) {
	const line = "post open | close | code VARIABLE ADDRESS | carried NUMBER"
	usage(ts, !neg && len(args) > 0, line)
	p := ts.Value(posts{}).(*post)
	switch {
	case args[0] == "open" && len(args) == 1:
		ts.Check(p.open(ts.Getenv("MAIL"), ts.Getenv("HOOK_ADDRESS")))
	case args[0] == "close" && len(args) == 1:
		p.shut()
	case args[0] == "code" && len(args) == 3:
		p.mu.Lock()
		defer p.mu.Unlock()
		code, ok := p.codes[args[2]]
		if !ok {
			ts.Fatalf("%s got no code", args[2])
		}
		ts.Setenv(args[1], code)
	case args[0] == "carried" && len(args) == 2:
		want, err := strconv.Atoi(args[1])
		ts.Check(err)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.sent != want {
			ts.Fatalf("%d messages were carried, want %d", p.sent, want)
		}
	default:
		usage(ts, false, line)
	}
}

func (p *post) open(mail, hook string) error {
	letters, err := net.Listen("tcp", mail)
	if err != nil {
		return err
	}
	texts, err := net.Listen("tcp", hook)
	if err != nil {
		return err
	}
	office := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &letter{post: p}, nil }))
	office.Domain = "mail.test"
	service := &http.Server{Handler: http.HandlerFunc(p.text)}
	go func() { _ = office.Serve(letters) }()
	go func() { _ = service.Serve(texts) }()
	p.close = []func(){func() { _ = letters.Close() }, func() { _ = office.Close() }, func() { _ = service.Close() }}
	return nil
}

func (p *post) shut() {
	for _, end := range p.close {
		end()
	}
	p.close = nil
}

func (p *post) arrived(to, code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent++
	p.codes[to] = code
}

// code is the last one that an address got.
func (p *post) code(to string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.codes[to]
}

// text is the webhook.
func (p *post) text(w http.ResponseWriter, r *http.Request) {
	var m struct{ To, Code string }
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil || r.Header.Get("Authorization") != "Bearer sms-key" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.arrived(m.To, m.Code)
}

// letter is one conversation with the mail server.
type letter struct {
	post *post
	to   string
}

func (l *letter) Reset()                                    {}
func (l *letter) Logout() error                             { return nil }
func (l *letter) Mail(string, *smtp.MailOptions) error      { return nil }
func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error { l.to = to; return nil }

var codeLine = regexp.MustCompile(`(?m)^(\d{1,6})\r?$`)

func (l *letter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := codeLine.FindSubmatch(text)
	if m == nil {
		return fmt.Errorf("no code in %q", text)
	}
	l.post.arrived(l.to, string(m[1]))
	return nil
}
