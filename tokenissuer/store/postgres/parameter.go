package postgres

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// elsewhere are the parameters that PostgreSQL's own programs know, and those of pgx's
// pool, and that mean nothing here, with what to do instead; the first that fits says it.
// A session can set none that is called so: a server would refuse them, when it is too
// late for who looks at his configuration.
var elsewhere = []struct{ name, mend string }{
	{"hostaddr", "write the address as the host, which the certificate names where sslmode is verify-full"},
	{"load_balance_hosts", "leave it out: of several hosts the primary is taken"},
	{"keepalives", "leave it out: connections are always asked whether they live"},
	{"keepalives_*", "leave it out, or write tcp_keepalives_idle, tcp_keepalives_interval or tcp_keepalives_count, by which the server asks"},
	{"gss*", "leave it out: sslmode says how the way is encrypted"},
	{"ssl_m*_protocol_version", "leave it out: TLS 1.2 is the oldest that is spoken"},
	{"sslcrl*", "leave it out: no list of revoked certificates is read"},
	{"requiressl", "write sslmode=require, or better verify-full"},
	{"ssl*", "is not known; those that are: sslmode, sslrootcert, sslcert, sslkey, sslpassword, sslsni, sslnegotiation"},
	{"requirepeer", "leave it out: who owns a socket is not looked at"},
	{"fallback_application_name", "write application_name"},
	{"replication", "leave it out: a node asks and writes, and copies nothing"},
	{"scram_*_key", "write the password"},
	{"oauth_*", "leave it out: a node comes with a password or a certificate"},
	{"pool_*", "leave it out: of a pool's words only pool_max_conns is known"},
	{"schema", "write search_path"},
}

// setting is how a server's parameters are called.
var setting = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$`)

var errUnread = errors.New("cannot be read as a URL; write what is special in a user name or password as %XX, such as %2F for a slash")

// whole refuses an address that ends elsewhere than whoever wrote it thinks: half a
// password would be the name of a database, or of a parameter, and be shown.
func whole(u *url.URL) error {
	if u.User == nil && strings.Contains(u.Path, "@") {
		return errUnread
	}
	if u.RawQuery == "" {
		return nil
	}
	for pair := range strings.SplitSeq(strings.TrimSuffix(u.RawQuery, "&"), "&") {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if _, err := url.QueryUnescape(value); err != nil || !setting.MatchString(name) {
			return errUnread
		}
	}
	return nil
}

// heeded refuses by name what nobody would heed. What is left is the server's to know.
func heeded(parameters map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		for _, p := range elsewhere {
			if fits, _ := path.Match(p.name, strings.ToLower(name)); fits {
				return fmt.Errorf("%s: %s", name, p.mend)
			}
		}
	}
	return nil
}
