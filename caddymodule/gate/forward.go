package gate

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Forward is what becomes of the Authorization header on the way to the backend.
type Forward int

// The ways to forward.
const (
	// ForwardDrop takes the header out: with the caller's token the backend could
	// act as the caller elsewhere.
	ForwardDrop Forward = iota
	// ForwardToken lets the caller's token through.
	ForwardToken
	// ForwardSigned replaces it by a short-lived token about the caller, which no
	// gate and no endpoint of the issuer takes.
	ForwardSigned
)

// Voucher signs tokens about callers. It is a pointer.
type Voucher interface {
	// Vouch returns a token that repeats claims to the audience, or to their own
	// where that is "", and when to ask for the next one.
	Vouch(claims *token.Claims, audience string, now time.Time) (raw string, renew time.Time, err error)
}

// forward is the compiled rule.
type forward struct {
	how      Forward
	voucher  Voucher
	audience string
}

func newForward(c Config) (forward, error) {
	f := forward{how: c.Forward, voucher: c.Voucher, audience: c.ForwardAudience}
	switch {
	case c.Shadow:
		// Where nobody is refused the backend still judges for itself.
		return forward{how: ForwardToken}, nil
	case f.how == ForwardSigned && !isComparable(c.Voucher):
		return f, errors.New("forward signed: no issuer that could sign")
	case f.how != ForwardSigned && f.audience != "":
		return f, errors.New("forward: only a signed token has an audience of its own")
	}
	return f, nil
}

// needs is what the tokens about a caller add to a record: they repeat its claims.
func (f *forward) needs() needs {
	if f.how == ForwardSigned {
		return needs{bytes: mostVouched << 10, copies: 2 * mostVouched}
	}
	return needs{}
}

// value is the token to forward, "" for none.
func (f *forward) value(e *entry, raw string, now time.Time) (string, error) {
	switch f.how {
	case ForwardToken:
		return raw, nil
	case ForwardSigned:
		return e.vouched(f, now)
	default:
		return "", nil
	}
}

// vouched is a token about a caller, for one audience.
type vouched struct {
	by       Voucher
	audience string
	raw      string
	renew    time.Time
}

// mostVouched is for how many audiences an entry keeps tokens at a time.
const mostVouched = 2

// vouched answers with a token that is young enough, or has one signed.
func (e *entry) vouched(f *forward, now time.Time) (string, error) {
	if raw := e.stillVouched(f, now); raw != "" {
		return raw, nil
	}
	// A signature takes a millisecond of a core: requests that come together wait
	// for one.
	m := e.more()
	m.vouching.Lock()
	defer m.vouching.Unlock()
	if raw := e.stillVouched(f, now); raw != "" {
		return raw, nil
	}
	raw, renew, err := f.voucher.Vouch(e.claims, f.audience, now)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errUnavailable, err)
	}
	kept := []vouched{{f.voucher, f.audience, raw, renew}}
	if before := m.vouchers.Load(); before != nil {
		for _, v := range *before {
			if len(kept) < mostVouched && v.by == f.voucher && v.audience != f.audience && now.Before(v.renew) {
				kept = append(kept, v)
			}
		}
	}
	m.vouchers.Store(&kept)
	return raw, nil
}

func (e *entry) stillVouched(f *forward, now time.Time) string {
	kept := e.more().vouchers.Load()
	if kept == nil {
		return ""
	}
	i := slices.IndexFunc(*kept, func(v vouched) bool { return v.by == f.voucher && v.audience == f.audience })
	if i < 0 || !now.Before((*kept)[i].renew) {
		return ""
	}
	return (*kept)[i].raw
}

// authorize sets or takes out what proves the caller to the backend.
func authorize(h http.Header, raw string) {
	if raw == "" {
		delete(h, "Authorization")
		return
	}
	h["Authorization"] = []string{"Bearer " + raw}
}
