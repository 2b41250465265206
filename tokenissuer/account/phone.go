package account

import (
	"strconv"

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
