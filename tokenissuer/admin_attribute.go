package tokenissuer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// attributes are the declared attributes that an account has.
func (i *Issuer) attributes(a *store.Account) map[string]string {
	var all map[string]string
	for _, name := range slices.Concat(i.config.Attributes, i.config.OperatorAttributes) {
		if value := i.attribute(a, name); value != "" {
			all = with(all, name, value)
		}
	}
	return all
}

// SetUserAttributes writes attributes of an account, those of people and those of
// operators; "" takes one away, what is not named stays. Where one changes that
// access tokens can hold, those of the account are refused from this moment on;
// its sign-ins go on, and a refresh brings the new value.
func (i *Issuer) SetUserAttributes(ctx context.Context, name string, values map[string]string) error {
	now := i.state.now()
	for try := 0; ; try++ {
		a, err := i.find(ctx, name)
		if err != nil {
			return err
		}
		next, told, err := i.withAttributes(a, values)
		if err != nil {
			return err
		}
		if maps.Equal(next.Attributes, a.Attributes) {
			return nil
		}
		writes := []store.Write{
			store.UpdateAccount{Account: next, Was: &a},
			store.PutEvent{Event: store.Event{At: now, Actor: operator, Action: "account.update", Subject: a.ID}},
		}
		if told {
			writes = append(writes, store.RevokeTokensOf{Account: a.ID})
		}
		err = i.state.store.Apply(ctx, now, writes...)
		if !errors.Is(err, store.ErrConflict) || try >= mostUpdates {
			return err
		}
	}
}

// withAttributes is an account with attributes written; told says that access
// tokens can hold one that changed.
func (i *Issuer) withAttributes(a store.Account, values map[string]string) (next store.Account, told bool, err error) {
	next = a
	next.Attributes = maps.Clone(a.Attributes)
	for name, value := range values {
		key := name
		switch {
		case slices.Contains(i.config.OperatorAttributes, name):
			key = byOperator + name
			told = told || next.Attributes[key] != value
		case !slices.Contains(i.config.Attributes, name):
			return next, false, fmt.Errorf("%w: %q is no attribute%s", ErrInvalid, name, i.declared())
		}
		if value == "" {
			delete(next.Attributes, key)
			continue
		}
		next.Attributes = with(next.Attributes, key, value)
	}
	if len(next.Attributes) == 0 {
		next.Attributes = nil
	}
	return next, told, invalid(account.CheckProfile(next))
}

func (i *Issuer) declared() string {
	all := slices.Concat(i.config.Attributes, i.config.OperatorAttributes)
	if len(all) == 0 {
		return ": the configuration declares none"
	}
	return ": expected " + strings.Join(all, ", ")
}
