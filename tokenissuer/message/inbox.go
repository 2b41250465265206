package message

import (
	"context"
	"errors"
	"sync"
)

// ErrInboxOutsideLoopback is what a caller refuses an Inbox with whose issuer
// can be reached from another machine: it shows everybody's codes to everybody.
var ErrInboxOutsideLoopback = errors.New(
	"the development inbox shows every code to everybody, so it is refused where the issuer's host is not localhost or a loopback address")

// Inbox keeps messages in memory in the place of sending them, for development.
// It must be refused outside loopback; whoever makes one knows the issuer's
// host and does so, with ErrInboxOutsideLoopback.
type Inbox struct {
	tell func(Message)

	mu   sync.Mutex
	kept []Message // oldest first
	most int
}

// NewInbox keeps the last most messages, 50 where most is 0, and tells of each
// one as it comes in, for the log; tell may be nil.
func NewInbox(most int, tell func(Message)) *Inbox {
	if most <= 0 {
		most = 50
	}
	return &Inbox{most: most, tell: tell}
}

// Send keeps the message.
func (b *Inbox) Send(_ context.Context, m Message) error {
	if err := m.check(); err != nil {
		return &Error{Host: "inbox", Step: "message", Cause: err}
	}
	b.mu.Lock()
	if len(b.kept) == b.most {
		b.kept = append(b.kept[:0], b.kept[1:]...)
	}
	b.kept = append(b.kept, m)
	b.mu.Unlock()
	if b.tell != nil {
		b.tell(m)
	}
	return nil
}

// Messages returns what is kept, newest first.
func (b *Inbox) Messages() []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	newest := make([]Message, 0, len(b.kept))
	for i := len(b.kept) - 1; i >= 0; i-- {
		newest = append(newest, b.kept[i])
	}
	return newest
}

func (b *Inbox) String() string { return "inbox" }

// GoString hides the codes from %#v.
func (b *Inbox) GoString() string { return b.String() }
