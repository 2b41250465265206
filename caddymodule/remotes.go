package caddymodule

import (
	"crypto/sha256"
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// elsewhere are the issuers that are asked over the network, by all that their
// configuration says: one that a reload leaves as it was is not asked anew.
var elsewhere = caddy.NewUsagePool()

// remotes are those of one configuration.
type remotes []string

// join gives an issuer of a gate what its source says: keys, which begin to be
// fetched where nobody fetches them yet, and whoever is asked about opaque tokens.
func (r *remotes) join(s source, into *gate.Issuer) (err error) {
	if s.asked.URL != "" {
		if into.Asked, err = r.asked(s); err != nil {
			return err
		}
	}
	if s.read != nil {
		into.Keys = s.read
		return nil
	}
	into.Keys, err = r.keys(s)
	return err
}

func (r *remotes) keys(s source) (token.Keys, error) {
	name := digestOf("keys", s.name, s.fetched.Issuer, s.fetched.JWKSURI, string(s.fetched.Crypto))
	value, _, err := elsewhere.LoadOrNew(name, func() (caddy.Destructor, error) {
		c := s.fetched
		c.Observe = observeKeys
		keys, err := remote.OpenKeys(c)
		return fetchedKeys{keys, c.Issuer}, err
	})
	if err != nil {
		return nil, err
	}
	*r = append(*r, name)
	return value.(fetchedKeys).Keys, nil
}

func (r *remotes) asked(s source) (gate.Introspector, error) {
	name := digestOf("introspection", s.name, s.asked.Issuer, s.asked.URL, s.asked.ClientID, s.asked.ClientSecret)
	value, _, err := elsewhere.LoadOrNew(name, func() (caddy.Destructor, error) {
		c := s.asked
		c.Observe = observeQuestion
		asked, err := remote.NewIntrospection(c)
		return introspector{asked}, err
	})
	if err != nil {
		return nil, err
	}
	*r = append(*r, name)
	return value.(introspector).Introspection, nil
}

// registered is who asks an issuer for the tokens of people that sign in.
func (r *remotes) registered(s signIn) (*remote.Registered, error) {
	name := digestOf("login", s.roots, s.asked.Issuer, s.asked.ClientID, s.asked.ClientSecret, s.asked.TokenEndpoint)
	value, _, err := elsewhere.LoadOrNew(name, func() (caddy.Destructor, error) {
		asked, err := remote.NewRegistered(s.asked)
		return registered{asked}, err
	})
	if err != nil {
		return nil, err
	}
	*r = append(*r, name)
	return value.(registered).Registered, nil
}

// leave ends the configuration's use of them.
func (r *remotes) leave() {
	for _, name := range *r {
		_, _ = elsewhere.Delete(name)
	}
	*r = nil
}

// fetchedKeys end when no configuration names them any more.
type fetchedKeys struct {
	*remote.Keys
	issuer string
}

// Destruct is called by the pool.
func (k fetchedKeys) Destruct() error {
	k.Close()
	return nil
}

// introspector lets its connections go when no configuration names it any more.
type introspector struct{ *remote.Introspection }

// Destruct is called by the pool.
func (i introspector) Destruct() error {
	i.Close()
	return nil
}

// registered lets its connections go when no configuration names it any more.
type registered struct{ *remote.Registered }

// Destruct is called by the pool.
func (r registered) Destruct() error {
	r.Close()
	return nil
}

// nameOf is a digest of what the file of authorities holds now; "" of none.
func nameOf(caFile string) (string, error) {
	if caFile == "" {
		return "", nil
	}
	authorities, err := os.ReadFile(caFile)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(authorities)), nil
}

// digestOf tells settings from others. Secrets may be among them, so it is a digest.
func digestOf(what, roots string, settings ...string) string {
	return fmt.Sprintf("%s %x", what, sha256.Sum256(fmt.Appendf(nil, "%s %q", roots, settings)))
}
