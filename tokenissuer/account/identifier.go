package account

import (
	"net/mail"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Lengths in bytes. RFC 5321 §4.5.3.1 gives an address 64+1+255.
const (
	maxIdentifier = 320
	maxUsername   = 255
	maxLocalPart  = 64
)

// domains reads the domain of an e-mail address as a DNS look-up would.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// KindOf says what a person meant by a name: with an @ an e-mail address, of
// digits and + alone a phone number, otherwise a username.
func KindOf(name string) store.IdentifierKind {
	switch {
	case strings.Contains(name, "@"):
		return store.ByEmail
	case name != "" && strings.Trim(name, "+0123456789") == "":
		return store.ByPhone
	default:
		return store.ByUsername
	}
}

// Normalise gives an identifier the one spelling it is stored and looked up
// under; false means that nobody can have it. region is how a phone number
// without + is read.
func Normalise(kind store.IdentifierKind, raw, region string) (string, bool) {
	value, ok := spell(kind, raw, region)
	if !ok {
		return "", false
	}
	// Neither the rules for names (RFC 8264 §7) nor those for numbers arrive at
	// once for every text: +86 and a number of zeros lose one zero each time. What
	// is stored has to be found again by itself.
	if again, ok := spell(kind, value, region); !ok || again != value {
		return "", false
	}
	return value, true
}

func spell(kind store.IdentifierKind, raw, region string) (string, bool) {
	if len(raw) > maxIdentifier {
		return "", false
	}
	switch kind {
	case store.ByUsername:
		return username(raw)
	case store.ByEmail:
		return email(raw)
	case store.ByPhone:
		return phone(raw, region)
	default:
		return "", false
	}
}

// username is RFC 8265 §3.3: width and case mapped, NFC, no space, no control
// character, one direction. One that would be read as another kind could never
// sign in, and could pass for somebody's phone number.
func username(raw string) (string, bool) {
	name, err := precis.UsernameCaseMapped.String(raw)
	if err != nil || name == "" || len(name) > maxUsername || KindOf(name) != store.ByUsername {
		return "", false
	}
	return name, true
}

// email takes a bare addr-spec: what the parser reads besides it (a display
// name, comments, quotes, routes) makes two spellings of one mailbox or one
// spelling of two. The local part is compared without case, as every mailbox
// provider does, though RFC 5321 §2.4 would let them differ.
func email(raw string) (string, bool) {
	address, err := mail.ParseAddress(raw)
	if err != nil || address.Name != "" || address.Address != raw {
		return "", false
	}
	at := strings.LastIndexByte(raw, '@')
	local, err := precis.UsernameCaseMapped.String(raw[:at])
	if err != nil || len(local) > maxLocalPart || strings.Contains(local, "@") {
		return "", false
	}
	domain, err := domains.ToASCII(raw[at+1:])
	if err != nil || domain == "" {
		return "", false
	}
	return local + "@" + domain, true
}

// phone is E.164. Whether the number is assigned is not asked, only whether it
// has a possible length: numbering plans change faster than programs.
func phone(raw, region string) (string, bool) {
	if strings.Trim(raw, "+0123456789 -().") != "" { // letters and extensions
		return "", false
	}
	number, err := phonenumbers.Parse(raw, region)
	if err != nil || !phonenumbers.IsPossibleNumber(number) {
		return "", false
	}
	return phonenumbers.Format(number, phonenumbers.E164), true
}
