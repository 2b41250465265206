package account

import (
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Dashed writes a stored phone number with its country code apart, +86-13612345678,
// as one of the documented APIs does; "" for what is no number.
func Dashed(e164 string) string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return ""
	}
	return "+" + strconv.Itoa(int(n.GetCountryCode())) + "-" + phonenumbers.GetNationalSignificantNumber(n)
}

// textable reports whether a stored number may get messages. The documented API
// takes those of the mainland, of 11 digits; of other countries only the length
// is known, and has been looked at.
func textable(e164 string) bool {
	national, mainland := strings.CutPrefix(e164, "+86")
	return !mainland || len(national) == 11 && national[0] == '1'
}
