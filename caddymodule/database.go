package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// database is where the records are: a file, or a PostgreSQL database.
type database struct {
	file    string
	address *postgres.Address

	maxStaleness time.Duration // of a node that does not hear of the others; 0: the default
	serveStale   bool
}

// resolve reads what a configuration says of its database.
func (s *Store) resolve(r *reader) database {
	kind, _ := r.text("store", s.Type)
	switch kind {
	case "sqlite":
		return database{file: s.resolveFile(r)}
	case "postgres":
		return s.resolveAddress(r)
	}
	r.fail("store", "", "expected sqlite and a path, or postgres and a URL")
	return database{}
}

func (s *Store) resolveFile(r *reader) string {
	file, _ := r.text("store", s.Path)
	switch {
	case file == "":
		r.fail("store", "", "expected sqlite and a path")
	case s.Address != "" || s.MaxStaleness != "" || s.WhenStale != "":
		r.fail("store", "", "sqlite has a path alone")
	case strings.HasPrefix(file, ":"), strings.HasPrefix(file, "file:"), strings.HasPrefix(file, "~"):
		r.fail("store", "", "expected the path of a file, such as /var/lib/gatehouse/issuer.db; nothing in it is expanded")
	}
	return file
}

// stalenessLeast is two looks of a node that hears of the others.
const stalenessLeast = time.Second

func (s *Store) resolveAddress(r *reader) database {
	text, known := r.text("store", s.Address)
	switch {
	case !known:
		return database{}
	case s.Path != "":
		r.fail("store", "", "postgres has an address and no path")
	}
	address, err := postgres.ParseAddress(text)
	if err != nil {
		r.fail("store", "", err.Error())
	}
	d := database{address: address, maxStaleness: r.duration("max_staleness", s.MaxStaleness)}
	if d.maxStaleness > 0 && d.maxStaleness < stalenessLeast {
		r.fail("max_staleness", s.MaxStaleness, fmt.Sprintf("%s: expected 1s or more: a node looks twice a second, and would refuse between its looks", d.maxStaleness))
	}
	switch stale, _ := r.text("when_stale", s.WhenStale); stale {
	case "", "refuse":
	case "serve":
		d.serveStale = true
	default:
		r.fail("when_stale", "", fmt.Sprintf("%q: expected refuse or serve", stale))
	}
	return d
}

// literal reports whether a password can be read in the configuration.
func (s *Store) literal() bool {
	if hasPlaceholder(s.Address) {
		return false
	}
	u, err := url.Parse(s.Address)
	if err != nil {
		return false // and refused
	}
	_, has := u.User.Password()
	return has || u.Query().Has("password")
}

// key names the database in the one way that all its spellings share.
func (d database) key() string {
	if d.address != nil {
		return d.address.String()
	}
	return d.file
}

// check says what opening would refuse, as far as that can be known without
// opening anything.
func (d database) check(ctx context.Context) (database, error) {
	if d.address != nil {
		return d, nil // `caddy validate` may run where no database is in reach
	}
	var err error
	if d.file, err = realPath(d.file); err != nil {
		return d, err
	}
	return d, sqlite.Check(ctx, d.file)
}

// upgradeMost is how long the upgrade of a shared database may take, or that of
// another node which this one waits for. A server that does not answer is given up
// much sooner.
const upgradeMost = 15 * time.Minute

func (d database) openMost() time.Duration {
	if d.address != nil {
		return upgradeMost
	}
	return openTimeout
}

func (d database) open(ctx context.Context) (*store.Store, error) {
	if d.address != nil {
		return postgres.Open(ctx, d.address)
	}
	return sqlite.Open(ctx, d.file)
}

// found refuses a database without a store: who copies one must not make an empty one.
func (d database) found(ctx context.Context) error {
	if d.address != nil {
		return postgres.Found(ctx, d.address)
	}
	return sqlite.Found(ctx, d.file)
}

// goneMost is how long a database may take to notice that a process has ended.
const goneMost = 2 * time.Second

// stopped refuses to copy a database that is served from. A file tells so by itself.
func (d database) stopped(ctx context.Context) error {
	return d.unserved(ctx, "stop all of them first, what they answer from now on would be lost")
}

// untouched refuses to fill a database that is served from.
func (d database) untouched(ctx context.Context) error {
	return d.unserved(ctx, "an import needs a database that nobody has served from")
}

func (d database) unserved(ctx context.Context, mend string) error {
	if d.address == nil {
		return nil
	}
	hosts, err := d.address.Serving(ctx)
	for end := time.Now().Add(goneMost); err == nil && len(hosts) > 0 && time.Now().Before(end); {
		time.Sleep(goneMost / 10)
		hosts, err = d.address.Serving(ctx)
	}
	if err != nil || len(hosts) == 0 {
		return err
	}
	n := len(hosts)
	hosts = slices.Compact(hosts)
	if hosts[0] == "" { // a socket, or another role's connection
		hosts[0] = "a host that the database does not tell"
	}
	return fmt.Errorf("store %s is served by %d running, of %s: %s", d.address, n, strings.Join(hosts, ", "), mend)
}

// reach goes on with another configuration's way to the same database.
func (d database) reach(ctx context.Context, next database) error {
	if d.address == nil || d.address == next.address {
		return nil
	}
	return d.address.Change(ctx, next.address)
}

// warnOfStore says so where the way to the database is open to others.
func (a *App) warnOfStore() {
	if a.store.address == nil {
		return
	}
	if why := a.store.address.Unsafe(); why != "" {
		a.logger.Warn("the connection to the database "+why+"; add sslmode=verify-full to its URL, and sslrootcert where its authority is not the system's",
			zap.Stringer("database", a.store.address), zapAt(a.storeAt()))
	}
}

// realPath names a file that may not exist yet in the one way that all its
// spellings share.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for dir := path; ; dir = filepath.Dir(dir) {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", fmt.Errorf("store path: %w", err)
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}
