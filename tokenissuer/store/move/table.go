package move

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// kind is what a column holds. Every database has it in a type of its own.
type kind int

const (
	number   kind = iota // 64 bits
	text                 // never NULL
	optional             // text or NULL
	binary               // bytes
	object               // a JSON object whose values are texts
)

type column struct {
	name string
	kind kind
}

// table is what is known of one. Its rows are ordered by the first column, a row
// number, or, where they belong to a row of another table, by its number and the
// column after it.
type table struct {
	name    string
	of      string // the table whose row number the first column is; "" for its own
	columns []column
}

// tables is every table that is moved, each behind those it belongs to. Both
// databases have exactly these columns; a test of each looks.
var tables = []table{
	{name: "keys", columns: columns(`n #, id, usage, algorithm, material *, sealed #, created #, sign_from #, retired #, expires #`)},
	{name: "clients", columns: columns(`n #, id, record *, generation #, updated #`)},
	{name: "accounts", columns: columns(`n #, id, username ?, email ?, phone ?, name, nickname, zone_info, locale,
		password_hash, password_set #, password_expire #, state, created #, updated #, email_verified #, phone_verified #, attributes {}`)},
	{name: "password_history", columns: columns(`n #, account, hash, at #`)},
	{name: "known_addresses", columns: columns(`n #, account, address *, seen #`)},
	{name: "consents", columns: columns(`n #, account, client, scope, updated #`)},
	{name: "sessions", columns: columns(`n #, hash *, id, device, account, source, amr, auth_time #, created #, seen #, expires #`)},
	{name: "session_clients", of: "sessions", columns: columns(`session #, client`)},
	{name: "families", columns: columns(`n #, id, account, client, source, amr, scopes, auth_time #, created #, expires #, revoked #, session, claims`)},
	{name: "refresh_tokens", of: "families", columns: columns(`family #, position #, hash *, spent #`)},
	{name: "tokens", of: "families", columns: columns(`family #, id, expires #`)},
	{name: "opaque_tokens", columns: columns(`n #, hash *, id, client, subject, account, family, scopes, audience, issued #, expires #, claims`)},
	{name: "revoked_tokens", columns: columns(`n #, id, expires #`)},
	{name: "revoked_clients", columns: columns(`n #, id, not_before #, expires #`)},
	{name: "codes", columns: columns(`n #, hash *, client, account, source, redirect_uri, scopes, amr, nonce, challenge,
		auth_time #, expires #, spent #, family, session, claims, acr`)},
	{name: "one_time_codes", columns: columns(`n #, hash *, code_hash *, client, source, usage, kind, destination,
		failures #, code_expires #, expires #, sent #`)},
	{name: "attempts", columns: columns(`n #, hash *, neighbourhood #, failures #, since #, until #, expires #, name *`)},
	{name: "quotas", columns: columns(`n #, hash *, taken #, ends #`)},
	{name: "deliveries", columns: columns(`n #, id, client, uri, body, tries #, next #, expires #`)},
	{name: "events", columns: columns(`n #, at #, actor, action, subject, detail`)},
}

// staying are the tables that belong to a database and say nothing in another.
var staying = map[string]string{
	"schema_versions": "which migrations it has had",
	"schema_floor":    "which programs can work with it",
	"changes":         "what the processes that share it tell each other",
	"silent_clients":  "who did not answer lately, and is asked anew from there",
	"_litestream_seq": "of a program that copies the file", "_litestream_lock": "the same one's",
}

// stayingColumns are those that a database writes again where they are not.
var stayingColumns = map[string]string{"families.lingers": "what the sweep has seen of it"}

// strange is a table of a database that is neither moved nor known to stay, or "": a
// newer program has made it, and what is in it would be lost.
func strange(have []string) string {
	for _, name := range have {
		moved := slices.ContainsFunc(tables, func(t table) bool { return t.name == name })
		if _, stays := staying[name]; !moved && !stays {
			return name
		}
	}
	return ""
}

// known refuses a database with more tables than this program knows.
func known(ctx context.Context, st *store.Store, tx *sql.Tx) error {
	have, err := st.Tables(ctx, tx)
	if err != nil {
		return err
	}
	if name := strange(have); name != "" {
		return fmt.Errorf("this database has a table %s that this program does not know: take the newer program; or it is another program's, which needs a database or a schema for itself", name)
	}
	return nil
}

var marks = map[string]kind{"": text, "#": number, "?": optional, "*": binary, "{}": object}

func columns(list string) []column {
	var all []column
	for entry := range strings.SplitSeq(list, ",") {
		name, mark, _ := strings.Cut(strings.TrimSpace(entry), " ")
		k, known := marks[mark]
		if !known {
			panic("move: " + entry)
		}
		all = append(all, column{name, k})
	}
	return all
}

func (t *table) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

// key is how many columns order the rows.
func (t *table) key() int {
	if t.of != "" {
		return 2
	}
	return 1
}

// selection reads all rows in their order. A row whose owner is gone is nobody's:
// it waits to be swept, and could be stored nowhere else.
func (t *table) selection() string {
	s := "SELECT t." + strings.Join(t.names(), ", t.") + " FROM " + t.name + " t"
	if t.of != "" {
		s += " JOIN " + t.of + " o ON o.n = t." + t.columns[0].name
	}
	return s + " ORDER BY t." + strings.Join(t.names()[:t.key()], ", t.")
}

// insertion stores so many rows.
func (t *table) insertion(rows int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + t.name + " (" + strings.Join(t.names(), ", ") + ") VALUES ")
	for n := range rows * len(t.columns) {
		switch {
		case n == 0:
			b.WriteByte('(')
		case n%len(t.columns) == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", n+1)
	}
	b.WriteByte(')')
	return b.String()
}

// counting has PostgreSQL's counter go on behind the rows that are there.
func (t *table) counting() string {
	return "SELECT setval(pg_get_serial_sequence('" + t.name + "', 'n'), MAX(n)) FROM " + t.name + " HAVING MAX(n) > 0"
}

// nothing selects no rows, and tells the columns.
func (t *table) nothing() string { return "SELECT * FROM " + t.name + " LIMIT 0" }

// look says whether a database's table has these columns, all and only: a program
// that does not know one would lose what is in it.
func (t *table) look(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, t.nothing())
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	have, err := rows.Columns()
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	return t.differ(have, "this database")
}

// differ compares the columns that somebody has with ours.
func (t *table) differ(have []string, whose string) error {
	for _, name := range t.names() {
		if !slices.Contains(have, name) {
			return fmt.Errorf("%s: %s has no column %s", t.name, whose, name)
		}
	}
	for _, name := range have {
		if _, stays := stayingColumns[t.name+"."+name]; !stays && !slices.Contains(t.names(), name) {
			return fmt.Errorf("%s: %s has a column %s that this program does not know: take the newer program", t.name, whose, name)
		}
	}
	return nil
}
