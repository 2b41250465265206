package tokenissuer

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// moved tells the owner of an account that its e-mail address or phone number was
// changed, in a mail to the address before: whoever took the account over reads the
// new one. The change is written already, so a mail that cannot be sent is a line
// in the log.
func (c *codes) moved(now time.Time, was, next store.Account, locale string) {
	if was.Email == "" || was.Email == next.Email && was.Phone == next.Phone {
		return
	}
	for _, id := range c.order {
		sender := c.senders[id]
		if c.sources[id].Kind != store.ByEmail || !message.Notices(sender) {
			continue
		}
		place, err := time.LoadLocation(was.ZoneInfo)
		if err != nil || place == time.Local {
			place = time.UTC
		}
		m := message.Notice(message.Message{ID: uuid.NewString(), To: was.Email, Locale: cmp.Or(locale, c.locale), Time: now.In(place)}, c.name, was.Email != next.Email, was.Phone != next.Phone)
		c.state.aside("telling of a changed address", func() error { return sender.Send(context.Background(), m) })
		return
	}
}
