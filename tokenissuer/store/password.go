package store

import "context"

// SetPassword replaces a password hash. Old, unless it is "*", must be the
// hash that is there. Conflict: gone, or changed meanwhile.
type SetPassword struct {
	Account string
	Old     string
	New     string
	// Remember is how many replaced hashes are kept from now on, this one
	// included; 0 forgets them all.
	Remember int
	// Keep leaves the day of the last change and the history alone: the same
	// password, hashed with today's parameters.
	Keep bool
}

var (
	replacePassword = writes(`
UPDATE accounts SET password_hash = $3, password_set = $4, password_expire = 0, updated = $4
WHERE id = $1 AND ($2 = '*' OR password_hash = $2)`)

	rehashPassword = writes(`
UPDATE accounts SET password_hash = $3 WHERE id = $1 AND ($2 = '*' OR password_hash = $2)`)

	rememberPassword = writes(`
INSERT INTO password_history (account, hash, at)
SELECT id, password_hash, $2 FROM accounts WHERE id = $1 AND password_hash <> '' /*[ FOR NO KEY UPDATE ]*/`)

	// The order is that of the rows: a clock may have been set back.
	forgetPasswords = writes(`
DELETE FROM password_history WHERE n IN (
	SELECT n FROM password_history WHERE account = $1 ORDER BY n DESC LIMIT 1000 OFFSET $2)`)

	deleteHistoryOf = writes(`DELETE FROM password_history WHERE account = $1`)
)

func (w SetPassword) apply(ctx context.Context, t *transaction) error {
	if w.Keep {
		return t.must(ctx, rehashPassword, w.Account, w.Old, w.New)
	}
	if w.Remember > 0 {
		if err := t.may(ctx, rememberPassword, w.Account, t.now); err != nil {
			return err
		}
	}
	if err := t.must(ctx, replacePassword, w.Account, w.Old, w.New, t.now); err != nil {
		return err
	}
	if w.Remember > 0 {
		return t.may(ctx, forgetPasswords, w.Account, w.Remember)
	}
	return t.may(ctx, deleteHistoryOf, w.Account)
}

// ExpirePassword demands a new password at the next sign-in. Conflict: gone.
type ExpirePassword struct{ Account string }

var expirePassword = writes(`UPDATE accounts SET password_expire = 1, updated = $2 WHERE id = $1`)

func (w ExpirePassword) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, expirePassword, w.Account, t.now)
}

var selectHistory = reads(`SELECT hash FROM password_history WHERE account = $1 ORDER BY n DESC LIMIT $2`)

// PasswordHistory lists up to most hashes that an account had before its
// present one, the newest first.
func (s *Store) PasswordHistory(ctx context.Context, account string, most int) ([]string, error) {
	return all(ctx, s, "password history", selectHistory, func(row scanner) (string, error) {
		var hash string
		err := row.Scan(&hash)
		return hash, err
	}, account, most)
}
