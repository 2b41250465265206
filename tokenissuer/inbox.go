package tokenissuer

import (
	"net/url"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// inboxPath is where `development` shows the messages it keeps.
const inboxPath = portalPath + "dev/inbox"

// inbox is GET /portal/dev/inbox. That the issuer is on loopback does not keep
// its listener off the network, nor a page on another site from a name of this
// machine: both are looked at.
func (i *Issuer) inbox(r *request) error {
	u, err := url.Parse(i.config.Issuer)
	if err != nil || !strings.EqualFold(r.Host, u.Host) || !r.event.From.IsLoopback() {
		return oauth.Fail(oauth.NotFound, oauth.UnknownEndpoint)
	}
	return i.kept.Inbox(r.w, r.Request, r.now, i.codes.inbox.Messages())
}

// inboxAssets are what the page looks like, where no client needs other pages.
var inboxAssets = route{portalPath, "inbox", "GET, HEAD", nothing, func(i *Issuer, r *request) error {
	return i.kept.Serve(r.w, r.Request, r.now)
}, nil}
