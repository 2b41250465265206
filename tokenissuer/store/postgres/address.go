package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Address is a database and how to speak with it. Printed, it has no password. It
// is safe for concurrent use.
type Address struct {
	name string
	way  atomic.Pointer[way]
	pool atomic.Pointer[sql.DB] // of the store that is open, if one is

	waits atomic.Pointer[func(who string)] // see Waits
}

// way is how to speak with a database. It may change: a password is replaced.
type way struct {
	text        string // where it comes from, with the password
	config      *pgx.ConnConfig
	connections int
}

// What a connection asks for unless its address says otherwise. A server that is
// waited for longer than this is one that does not answer.
const (
	application        = "gatehouse"
	statementMost      = 5 * time.Second
	lockMost           = 3 * time.Second
	idleMost           = 10 * time.Second // in a transaction: its program hangs, others wait
	connectMost        = 5 * time.Second
	defaultConnections = 16
)

const example = "such as postgres://gatehouse@db.example.com/gatehouse?sslmode=verify-full"

// ParseAddress reads an address of PostgreSQL's form, `postgres://` and what
// follows there, with one parameter of ours: `pool_max_conns`, the connections of
// this process, 16 by default. What PostgreSQL's programs know and this one does not is
// refused by name; what a session may set is left to the server. No error shows what
// was read: it may be a password.
func ParseAddress(text string) (*Address, error) {
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return nil, errors.New("expected a URL " + example)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errUnread
	}
	if u.Fragment != "" {
		return nil, errors.New("has a #; in a user name or password write %23")
	}
	if err := whole(u); err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(text)
	if err != nil {
		return nil, mistake(err, u)
	}
	w := &way{text: text, config: config, connections: defaultConnections}
	if most, ok := config.RuntimeParams["pool_max_conns"]; ok {
		n, err := strconv.Atoi(most)
		if err != nil || n < 1 || n > 1000 {
			return nil, errors.New("pool_max_conns: expected a number from 1 to 1000")
		}
		w.connections = n
		delete(config.RuntimeParams, "pool_max_conns")
	}
	if err := heeded(config.RuntimeParams); err != nil {
		return nil, err
	}
	if err := complete(config); err != nil {
		return nil, err
	}
	if err := primary(config, u.Query().Get(whichServer)); err != nil {
		return nil, err
	}
	if err := inOneSchema(config); err != nil {
		return nil, err
	}
	a := &Address{name: name(config)}
	a.way.Store(w)
	return a, nil
}

// complete adds what the address does not say.
func complete(config *pgx.ConnConfig) error {
	for name, value := range map[string]string{
		"application_name":                    application,
		"statement_timeout":                   milliseconds(statementMost),
		"lock_timeout":                        milliseconds(lockMost),
		"idle_in_transaction_session_timeout": milliseconds(idleMost),
		// A machine that dies says nothing: the server asks after half a minute, and gives
		// its connections back half a minute later instead of two hours.
		"tcp_keepalives_idle":     "30",
		"tcp_keepalives_interval": "10",
		"tcp_keepalives_count":    "3",
		"tcp_user_timeout":        "60000", // where a notification is under way, nobody asks
	} {
		if config.RuntimeParams[name] == "" {
			config.RuntimeParams[name] = value
		}
	}
	if encoding := config.RuntimeParams["client_encoding"]; encoding != "" && !strings.EqualFold(encoding, "UTF8") {
		return errors.New("client_encoding: expected UTF8, which is what a node speaks; leave it out")
	}
	// Whatever the database's, or the role's, default is: another would be of other letters.
	config.RuntimeParams["client_encoding"] = "UTF8"
	config.ConnectTimeout = cmp.Or(config.ConnectTimeout, connectMost)
	return nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

const whichServer = "target_session_attrs"

// primary has every connection be one to a server that is written to. Its copies are
// behind it by any time: who looked there would miss what was revoked, and would not
// know that it does.
func primary(config *pgx.ConnConfig, which string) error {
	switch which {
	case "":
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	case "primary", "read-write":
	default:
		return errors.New(whichServer + ": expected primary, which is the default, or read-write: a node needs a server that it can write to")
	}
	return nil
}

// inOneSchema refuses what would have addresses of two schemas be taken for one.
func inOneSchema(config *pgx.ConnConfig) error {
	for _, name := range []string{"search_path", "role"} {
		if strings.Contains(strings.ToLower(config.RuntimeParams["options"]), name) {
			return fmt.Errorf("options: %s is to be a parameter of its own, %s=its_name", name, name)
		}
	}
	return nil
}

// mistake says what pgx found, unless a secret of the address may be in it.
func mistake(err error, u *url.URL) error {
	text := err.Error()
	if e, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		// It repeats the address first, between two marks.
		if _, after, ok := strings.Cut(text, "`: "); ok && e != nil {
			text = after
		}
	}
	password, _ := u.User.Password()
	for _, secret := range []string{password, u.Query().Get("password"), u.Query().Get("sslpassword")} {
		if secret != "" && strings.Contains(text, secret) {
			return errors.New("cannot be read; expected a URL " + example)
		}
	}
	return errors.New(text)
}

// String names the database: the same for all addresses of one, whatever their
// password and parameters.
func (a *Address) String() string { return a.name }

func name(config *pgx.ConnConfig) string {
	hosts := []string{endpoint(config.Host, config.Port)}
	for _, f := range config.Fallbacks {
		// One host may be there with TLS and without.
		if host := endpoint(f.Host, f.Port); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	u := url.URL{Scheme: "postgres", User: url.User(config.User), Path: "/" + config.Database}
	which := url.Values{}
	for _, name := range []string{"role", "search_path"} { // "$user" is the role
		if value := config.RuntimeParams[name]; value != "" {
			which.Set(name, value)
		}
	}
	u.RawQuery = which.Encode()
	return strings.Replace(u.String(), "@/", "@"+strings.Join(hosts, ",")+"/", 1)
}

// GoString is String, for %#v.
func (a *Address) GoString() string { return a.name }

// sameMost is how long a server is waited for of which nothing new is known.
const sameMost = 2 * time.Second

// Change goes on in the way of another address of the same database, such as with
// another password. New connections are made so, once one was. Where the address is
// what it was, a server that is away is no reason to refuse: whoever changes something
// else meanwhile, such as what a node does without its database, need not wait for it.
func (a *Address) Change(ctx context.Context, next *Address) error {
	w := next.way.Load()
	same := w.text == a.way.Load().text
	if same {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, sameMost)
		defer cancel()
	}
	db := w.open(nil)
	err := answers(ctx, db)
	if err == nil && !same {
		err = w.keepsSession(ctx, db)
	}
	err = errors.Join(err, db.Close())
	// One that is away is the same one; the files that the address names may be others,
	// and count when it is back.
	if err != nil && !(same && errors.Is(err, errAway)) {
		return a.wrap(err)
	}
	a.way.Store(w)
	if db := a.pool.Load(); db != nil {
		size(db, w.connections)
	}
	return nil
}

func endpoint(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// Unsafe says why somebody on the way could read or change what is spoken, or "".
func (a *Address) Unsafe() (why string) {
	config := a.way.Load().config
	ends := []*pgconn.FallbackConfig{{Host: config.Host, TLSConfig: config.TLSConfig}}
	for _, f := range append(ends, config.Fallbacks...) {
		network, _ := pgconn.NetworkAddress(f.Host, f.Port)
		if ip := net.ParseIP(f.Host); network == "unix" || f.Host == "localhost" || ip != nil && ip.IsLoopback() {
			continue
		}
		if f.TLSConfig == nil {
			return "may be without encryption"
		}
		if f.TLSConfig.InsecureSkipVerify && f.TLSConfig.VerifyPeerCertificate == nil {
			why = "is with whoever answers, without a look at the certificate"
		}
	}
	return why
}

func (a *Address) wrap(err error) error { return fmt.Errorf("store %s: %w", a, onOneLine{err}) }

// onOneLine prints an error so: of several hosts, or of one with TLS and without, pgx
// has a line for each.
type onOneLine struct{ error }

func (e onOneLine) Error() string { return strings.ReplaceAll(e.error.Error(), "\n\t", " / ") }

func (e onOneLine) Unwrap() error { return e.error }
