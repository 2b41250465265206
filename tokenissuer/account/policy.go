package account

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// CheckPassword says whether a password may be set for an account: an
// *InputError, or nil. It asks for length and for nothing else that a person has
// to invent (NIST SP 800-63B §3.1.1.2 has no rules of composition).
func CheckPassword(src Source, account store.Account, password string) error {
	_, err := acceptable(src, account, password)
	return err
}

// acceptable returns the password as it is hashed.
func acceptable(src Source, account store.Account, password string) (string, error) {
	src = src.withDefaults()
	if len(password) > maxPassword {
		return "", &InputError{"password", fmt.Sprintf("is longer than %d bytes", maxPassword)}
	}
	clean, err := precis.OpaqueString.String(password)
	if err != nil && password != "" {
		return "", &InputError{"password", "holds a character that not every keyboard or program passes on"}
	}
	if utf8.RuneCountInString(clean) < src.MinLength {
		return "", &InputError{"password", fmt.Sprintf("is shorter than %d characters", src.MinLength)}
	}
	mailbox, _, _ := strings.Cut(account.Email, "@")
	for _, name := range []string{account.Username, account.Email, mailbox, account.Phone, account.Name, account.Nickname} {
		if name != "" && strings.EqualFold(clean, name) {
			return "", &InputError{"password", "is the name of the account"}
		}
	}
	return clean, nil
}

// hashNew hashes a password that is to be set.
func (a *Accounts) hashNew(ctx context.Context, src Source, account store.Account, password string) (string, error) {
	clean, err := acceptable(src, account, password)
	if err != nil {
		return "", err
	}
	ctx, leave, err := a.queue.enter(ctx)
	if err != nil {
		return "", refusal(err)
	}
	defer leave()
	var hash string
	var failed error
	if err := a.queue.run(ctx, func() { hash, failed = a.hasher.Hash(clean) }); err != nil {
		return "", refusal(err)
	}
	return hash, failed
}
