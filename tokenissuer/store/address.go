package store

import (
	"context"
	"errors"
	"time"
)

// PutKnownAddress remembers that an account signed in from an address; the
// table is of fixed size per account (the oldest gives way).
type PutKnownAddress struct {
	Account string
	Address Hash
}

const (
	// addressesOf is how many addresses an account is known by.
	addressesOf = 16

	// keepAddresses is how long an address is known without a sign-in from it:
	// someone else may have it by then.
	keepAddresses = 90 * 24 * time.Hour

	// seenAgain is how stale the day of the last sign-in may get before it is
	// written again: a program that signs in every second costs no row each time.
	seenAgain = time.Hour
)

var (
	seeAddress = writes(`
INSERT INTO known_addresses (account, address, seen) VALUES ($1, $2, $3)
ON CONFLICT (account, address) DO UPDATE SET seen = excluded.seen WHERE known_addresses.seen <= $4`)

	forgetAddresses = writes(`
DELETE FROM known_addresses WHERE n IN (
	SELECT n FROM known_addresses WHERE account = $1 ORDER BY seen DESC, n DESC LIMIT 1000 OFFSET $2)`)
)

func (w PutKnownAddress) apply(ctx context.Context, t *transaction) error {
	written, err := t.exec(ctx, seeAddress, w.Account, w.Address[:], t.now, millis(t.at.Add(-seenAgain)))
	if err != nil || written == 0 {
		return err
	}
	return t.may(ctx, forgetAddresses, w.Account, addressesOf)
}

var selectAddress = reads(`SELECT seen FROM known_addresses WHERE account = $1 AND address = $2`)

// KnownAddress says whether an account has signed in from an address lately.
func (s *Store) KnownAddress(ctx context.Context, now time.Time, account string, address Hash) (bool, error) {
	seen, err := one(ctx, s, "known address", selectAddress, func(row scanner) (int64, error) {
		var seen int64
		err := row.Scan(&seen)
		return seen, err
	}, account, address[:])
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && now.Sub(moment(seen)) < keepAddresses, err
}
