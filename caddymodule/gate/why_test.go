package gate

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

func TestCausesAreWrittenDownWithoutPiecesOfTheToken(t *testing.T) {
	for _, c := range []struct {
		cause error
		want  string
	}{
		{fmt.Errorf("%w: not base64url", token.ErrMalformed), "malformed token: not base64url"},
		{oauth.ErrNoToken, ""},
		{errScope, ""},
		{errExpression, ""},
		{refusedBy(false, errTwoReadings), "the path has more than one reading"},
		{refusedBy(false, errors.New("no such key: SECRET")), "a claim that it asks for is absent"},
		{refusedBy(false, errors.New(`parsing time "SECRET" as "2006"`)), ""},
		{nil, ""},
	} {
		if got := (&Refusal{Cause: c.cause}).Why(); got != c.want {
			t.Errorf("%v: %q, want %q", c.cause, got, c.want)
		}
	}
	// The words that the cases above rely on are the library's.
	for rule, want := range map[string]string{
		`claims.absent == "x"`:        "a claim that it asks for is absent",
		`claims.sub < 1`:              "it compares what is of two kinds",
		`timestamp(claims.sub) < now`: "",
	} {
		x, err := NewExpression(rule)
		if err != nil {
			t.Fatal(err)
		}
		holds, cause := x.holds(&facts{claims: &token.Claims{All: map[string]any{"sub": "SECRET"}}})
		if got := (&Refusal{Cause: refusedBy(holds, cause)}).Why(); holds || got != want {
			t.Errorf("%s: %q of %v, want %q", rule, got, cause, want)
		}
	}
}
