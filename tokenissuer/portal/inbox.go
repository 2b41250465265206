package portal

import (
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

// Inbox answers the page of messages that were kept in the place of sending them,
// for whoever sits at this machine: that must be known before.
func (p *Portal) Inbox(w http.ResponseWriter, r *http.Request, now time.Time, kept []message.Message) error {
	v := p.visit(w, r, now)
	v.speak(r.URL.Query().Get("lang"))
	v.zone = time.Local // which is the person's
	return v.show(http.StatusOK, "inbox", view{Data: kept})
}
