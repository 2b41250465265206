package message_test

import (
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

// What a connection for each message costs, which docs/decisions/0050-go-mail.md argues with.
func BenchmarkMail(b *testing.B) {
	ca := newAuthority(b)
	for _, c := range []struct {
		name, url string
		implicit  bool
	}{{"STARTTLS", "smtp://", false}, {"TLS", "smtps://", true}} {
		b.Run(c.name, func(b *testing.B) {
			office := &postOffice{mechanism: "PLAIN"}
			sender := newSMTP(b, message.SMTPConfig{
				URL: c.url + "robot:" + password + "@" + office.open(b, ca.serves(b, "127.0.0.1"), c.implicit), CAFile: ca.file,
			})
			b.ReportAllocs()
			for b.Loop() {
				if err := sender.Send(b.Context(), mailed("ann@example.org")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
