package tokenissuer

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// logoutNotice is what a client is told when a person signs out (OpenID Connect
// Back-Channel Logout 1.0 §2.4): kept without the times, which a retry has anew,
// and signed when it is sent, so that no signed token lies in the store.
type logoutNotice struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Session  string `json:"sid"`
}

// noticeFor is how long a logout token is good. §2.4: "exp … recommended … at
// most two minutes in the future".
const noticeFor = 2 * time.Minute

// ended is what is written when a person signs out of a browser: what the clients
// want to end with it ends, and those that want to be told are told.
func (i *Issuer) ended(ctx context.Context, now time.Time, s store.Session) ([]store.Write, error) {
	clients, err := i.state.store.ClientsOfSession(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	var writes []store.Write
	var leaving []string
	ending := i.together.endingIDs
	for _, id := range clients {
		if d, tell := i.noticeTo(id, now, s.Account, s.ID); tell {
			writes = append(writes, store.PutDelivery{Delivery: d})
			if !slices.Contains(ending, id) {
				leaving = append(leaving, id)
			}
		}
	}
	// Those without a sign-in yet, too: a code may be on its way.
	if len(ending) > 0 {
		writes = append(writes, store.RevokeSession{ID: s.ID, Clients: ending})
	}
	if len(leaving) > 0 {
		writes = append(writes, store.LeaveSession{ID: s.ID, Clients: leaving})
	}
	return writes, nil
}

// telling comes after what ends all of an account, or all that one client has of
// it: the clients are told as of a sign-out, though a browser's session may go on.
func (i *Issuer) telling(now time.Time, account string) store.Write {
	return store.TellEnded{Message: func(session, client string) (store.Delivery, bool) {
		return i.noticeTo(client, now, account, session)
	}}
}

// noticeTo tells a client of the end of a session. false: it does not want to be
// told.
func (i *Issuer) noticeTo(id string, now time.Time, account, session string) (store.Delivery, bool) {
	c, known := i.client(id)
	if !known || c.BackchannelLogoutURI == "" {
		return store.Delivery{}, false
	}
	body, _ := json.Marshal(logoutNotice{Issuer: i.base(familyOfClient(c)), Subject: account, Audience: c.ID, Session: session}) // four texts
	return store.Delivery{
		ID: uuid.NewString(), Client: c.ID, URI: c.BackchannelLogoutURI, Body: string(body), Next: now, Expires: now.Add(deliverFor),
	}, true
}

// notice signs a logout token (§2.4). It has no nonce, or it could pass for an
// ID token.
func (s *State) notice(d store.Delivery, now time.Time) (string, error) {
	var n logoutNotice
	if err := json.Unmarshal([]byte(d.Body), &n); err != nil {
		return "", err
	}
	key, err := s.signing(*s.algorithm.Load(), now)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(struct {
		logoutNotice
		IssuedAt int64                      `json:"iat"`
		Expires  int64                      `json:"exp"`
		ID       string                     `json:"jti"`
		Events   map[string]json.RawMessage `json:"events"`
	}{n, now.Unix(), now.Add(noticeFor).Unix(), uuid.NewString(), map[string]json.RawMessage{
		"http://schemas.openid.net/event/backchannel-logout": json.RawMessage(`{}`),
	}})
	if err != nil {
		return "", err
	}
	return key.Sign("logout+jwt", payload)
}
