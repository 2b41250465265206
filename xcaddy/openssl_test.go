package main

import (
	"os"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token/openssl"
)

// condition is what a story asks for in brackets:
//
//	[openssl]     the program can sign with OpenSSL: the build has the tag, the machine the library
//	[linked]      the build has the tag
func condition(name string) (bool, error) {
	why := openssl.Load()
	switch name {
	case "openssl":
		return why == nil, nil
	case "linked":
		return why == nil || !strings.Contains(why.Error(), "built without OpenSSL"), nil
	}
	return false, os.ErrInvalid
}

// verified wants a token to be signed by a key of the set in stdout, as somebody
// else's program sees it:
//
//	verified TOKEN
func verified(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "verified TOKEN")
	set, err := jwk.Parse([]byte(ts.ReadFile("stdout")))
	ts.Check(err)
	_, err = jws.Verify([]byte(args[0]), jws.WithKeySet(set))
	ts.Check(err)
}
