package tokenissuer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// ClientInfo is a client as operators see it: no secret, not even its hash.
type ClientInfo struct {
	ID       string   `json:"id"`
	Name     string   `json:"name,omitempty"`
	Type     string   `json:"type"`
	Grants   []string `json:"grants"`
	Scopes   []string `json:"scopes"`
	Sources  []string `json:"auth_sources,omitempty"`
	Claims   []string `json:"claims,omitempty"`
	Secrets  int      `json:"secrets"`
	Disabled bool     `json:"disabled"`
	Origin   string   `json:"origin"` // where it is registered: "caddyfile"
}

// ClientList lists the clients by their id.
func (i *Issuer) ClientList() []ClientInfo {
	list := make([]ClientInfo, 0, len(i.config.Clients))
	for _, r := range i.config.Clients {
		list = append(list, ClientInfo{
			ID: r.ID, Name: r.Name, Type: string(r.Type), Grants: r.Grants, Scopes: r.Scopes, Sources: r.Sources, Claims: r.Claims,
			Secrets: len(r.Secrets) + len(r.SecretHashes), Disabled: r.Disabled, Origin: "caddyfile",
		})
	}
	slices.SortFunc(list, func(a, b ClientInfo) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// RevokeClient ends what a client was given up to now: every access token at once, its
// own and those of people, then the sign-ins that people have with it and the codes on
// their way. The client goes on, and whoever has its secret earns anew. Where it fails
// in the middle the next try goes on. ErrNotFound: no such client is configured; what
// one has that was taken out of the configuration is refused as it is.
func (i *Issuer) RevokeClient(ctx context.Context, id string) error {
	if _, known := i.client(id); !known {
		return fmt.Errorf("client %q: %w", id, ErrNotFound)
	}
	now := i.state.now()
	err := i.state.store.Apply(ctx, now,
		// The longest that a token can have: a reload may have made it less.
		store.RefuseClient{Client: id, Longest: client.MaxTokenLifetime, Ahead: i.state.early()},
		store.PutEvent{Event: store.Event{At: now, Actor: operator, Action: "client.revoke", Subject: id}})
	if err != nil {
		return err
	}
	return i.state.store.Apply(ctx, now, store.RevokeClient{Client: id})
}
