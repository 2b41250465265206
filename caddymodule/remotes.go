package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// elsewhere are the issuers that are asked over the network, by all that their
// configuration says: one that a reload leaves as it was is not asked anew.
var elsewhere = caddy.NewUsagePool()

// remotes are those of one configuration.
type remotes []string

// keys returns the keys of a source, and begins to fetch them where nobody does.
func (r *remotes) keys(s keySource) (token.Keys, error) {
	if s.read != nil {
		return s.read, nil
	}
	name := "keys " + s.name
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

// nameOf tells settings from others, with what the file of authorities holds now.
// Secrets may be among them.
func nameOf(caFile string, settings ...string) (string, error) {
	var authorities []byte
	if caFile != "" {
		var err error
		if authorities, err = os.ReadFile(caFile); err != nil {
			return "", err
		}
	}
	sum := sha256.Sum256(fmt.Appendf(authorities, "\n%q", settings))
	return hex.EncodeToString(sum[:]), nil
}
