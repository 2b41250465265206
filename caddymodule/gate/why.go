package gate

import (
	"errors"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// Why is the cause of a refusal as it may be written down, "" where the reason says
// it all. It holds no piece of a token: what a rule in CEL has to say of a claim's
// value is left out.
func (r *Refusal) Why() string {
	switch {
	case r.Cause == nil, errors.Is(r.Cause, oauth.ErrNoToken), errors.Is(r.Cause, errScope), errors.Is(r.Cause, errClaim), errors.Is(r.Cause, errStale), errors.Is(r.Cause, errRevoked):
		return ""
	case errors.Is(r.Cause, errExpression):
		return whyNoAnswer(r.Cause.Error())
	}
	return r.Cause.Error()
}

// whyNoAnswer tells the kinds of questions without an answer apart, by the words
// that CEL has for them.
func whyNoAnswer(text string) string {
	for words, why := range map[string]string{
		errTwoReadings.Error(): errTwoReadings.Error(),
		errTwoMethods.Error():  errTwoMethods.Error(),
		errTwoHosts.Error():    errTwoHosts.Error(),
		errDestination.Error(): errDestination.Error(),
		"no such key":          "a claim that it asks for is absent",
		"no such overload":     "it compares what is of two kinds",
		"cost limit":           "it takes too much work",
	} {
		if strings.Contains(text, words) {
			return why
		}
	}
	return ""
}
