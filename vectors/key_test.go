package vectors

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// pair is a key of our own, as JWKs.
type pair struct{ private, public json.RawMessage }

// oneMore stands in every key set that is tested.
var oneMore = func() pair {
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	private, err := asJWK(raw)
	if err != nil {
		panic(err)
	}
	public, err := asJWK(raw.Public())
	if err != nil {
		panic(err)
	}
	return pair{private, public}
}()

func asJWK(raw any) (json.RawMessage, error) {
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return nil, err
	}
	if err := key.Set(jwk.KeyIDKey, "one-more"); err != nil {
		return nil, err
	}
	return json.Marshal(key)
}
