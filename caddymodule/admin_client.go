package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

func listClients(i *tokenissuer.Issuer, _ *http.Request) (any, error) { return i.ClientList(), nil }

func showClient(i *tokenissuer.Issuer, r *http.Request) (any, error) {
	for _, c := range i.ClientList() {
		if c.ID == r.PathValue("id") {
			return c, nil
		}
	}
	return nil, fmt.Errorf("client %q: %w", r.PathValue("id"), tokenissuer.ErrNotFound)
}

// revokeClient ends what a client has, which may be very much.
func revokeClient(i *tokenissuer.Issuer, r *http.Request) (any, error) {
	if err := i.RevokeClient(r.Context(), r.PathValue("id")); err != nil {
		return nil, err
	}
	return showClient(i, r)
}
