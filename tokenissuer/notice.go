package tokenissuer

import (
	"cmp"
	"context"
	"errors"
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
	if was.Email == next.Email && was.Phone == next.Phone {
		return
	}
	c.notify("telling of a changed address", now, was, locale, func(m message.Message) message.Message {
		return message.Notice(m, c.name, was.Email != next.Email, was.Phone != next.Phone)
	})
}

// renewed tells the owner of an account that its password was changed, or that it
// has its first: whoever reads its codes, or sat down at an open browser, can set
// one.
func (c *codes) renewed(now time.Time, who store.Account, first bool, locale string) {
	c.notify("telling of a changed password", now, who, locale, func(m message.Message) message.Message {
		return message.PasswordNotice(m, c.name, first)
	})
}

// perAccount is how many notices a mailbox gets: its owner knows by then, and whoever
// has an account could go on for ever.
var perAccount = Rate{20, time.Hour}

// notify sends a notice to the mailbox of an account, by the first source that
// carries any. An account without a mailbox gets none.
func (c *codes) notify(doing string, now time.Time, who store.Account, locale string, write func(message.Message) message.Message) {
	if who.Email == "" {
		return
	}
	for _, id := range c.order {
		sender := c.senders[id]
		if c.sources[id].Kind != store.ByEmail || !message.Notices(sender) {
			continue
		}
		place, err := time.LoadLocation(who.ZoneInfo)
		if err != nil || place == time.Local {
			place = time.UTC
		}
		m := write(message.Message{ID: uuid.NewString(), To: who.Email, Locale: cmp.Or(locale, c.locale), Time: now.In(place)})
		quota := store.TakeQuota{Key: c.accounts.QuotaKey("notices to", who.ID), Most: perAccount.Count, Window: perAccount.Within}
		c.state.aside(doing, func() error {
			err := c.state.store.Apply(context.Background(), now, quota)
			if errors.Is(err, store.ErrConflict) {
				return nil // all of them were sent
			}
			if err != nil {
				return err
			}
			return sender.Send(context.Background(), m)
		})
		return
	}
}
