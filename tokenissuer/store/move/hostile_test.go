package move

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

// resealed is an export with its last line made anew, as someone does who changes a
// file on purpose.
func resealed(lines []string) []byte {
	body := strings.Join(lines[:len(lines)-1], "\n") + "\n"
	last := lines[len(lines)-1]
	before, _, _ := strings.Cut(last, `"sha256":`)
	return fmt.Appendf(nil, "%s%s\"sha256\":\"%x\"}\n", body, before, sha256.Sum256([]byte(body)))
}

// With two rows in each table: 1 is the header, 2 begins keys, 3 and 4 are keys,
// 5 begins clients.
func TestHostileFilesAreRefusedWithTheirLine(t *testing.T) {
	good := example(t, 2)
	lines := strings.Split(strings.TrimSuffix(string(good), "\n"), "\n")
	last := len(lines)
	// edited replaces lines, from 1, without and with a hash that fits.
	edited := func(n int, with ...string) []string {
		return append(append(append([]string{}, lines[:n-1]...), with...), lines[n:]...)
	}
	plain := func(l []string) []byte { return []byte(strings.Join(l, "\n") + "\n") }
	replaced := func(n int, from, to string) []string {
		if !strings.Contains(lines[n-1], from) {
			t.Fatalf("line %d has no %s: %s", n, from, lines[n-1])
		}
		return edited(n, strings.Replace(lines[n-1], from, to, 1))
	}
	accounts := 8
	if !strings.HasPrefix(lines[accounts-1], `{"table":"accounts"`) {
		t.Fatal(lines[accounts-1])
	}
	families := 0
	for n, l := range lines {
		if strings.HasPrefix(l, `{"table":"refresh_tokens"`) {
			families = n + 1
		}
	}

	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"nothing", nil, "it is empty"},
		{"no export", []byte("SQLite format 3\x00\n"), `line 1 is not the beginning of an export: expected {"format":"gatehouse-export","version":1}`},
		{"one huge line", bytes.Repeat([]byte("["), longest+1), "line 1 is longer than 4194304 bytes"},
		{"a huge line within", plain(edited(3, "["+strings.Repeat("1,", longest/2)+"1]")), "line 3 is longer than 4194304 bytes"},
		{"another format", plain(edited(1, `{"format":"other","version":1}`)), "line 1 is not the beginning"},
		{"a later version", plain(edited(1, `{"format":"gatehouse-export","version":2}`)), "line 1 says version 2, this program knows 1: take the program that wrote it"},
		{"a word more in the header", plain(edited(1, `{"format":"gatehouse-export","version":1,"x":1}`)), "line 1 is not the beginning"},
		{"cut behind a line", good[:len(good)-len(lines[last-1])-1], fmt.Sprintf("it ends behind line %d: it was cut off", last-1)},
		{"cut in the last line", good[:len(good)-2], fmt.Sprintf("it ends behind line %d: it was cut off", last-1)},
		{"cut in a row", good[:len(lines[0])+len(lines[1])+20], "it ends behind line 2: it was cut off"},
		{"a byte changed", plain(replaced(accounts+1, "name 001", "name 101")), fmt.Sprintf("line %d says that the lines before have the SHA-256", last)},
		{"a row left out", resealed(edited(4)), fmt.Sprintf("line %d does not say how many rows there were", last-1)},
		{"a row twice", resealed(edited(3, lines[2], lines[2])), "line 4 is a row of keys that does not come after the one before it"},
		{"rows in another order", resealed(edited(3, lines[3], lines[2])), "line 4 is a row of keys that does not come after the one before it"},
		{"an unknown table", resealed(edited(5, `{"table":"passkeys","columns":["n"]}`)), `line 5 begins a table "passkeys" that this program does not know`},
		{"a table left out", resealed(edited(5)), "line 5 cannot be a row of keys: has 5 values, expected 10"},
		{"a table too early", resealed(edited(5, lines[accounts-1])), "line 5 begins the table accounts, expected clients"},
		{"a new column", resealed(replaced(2, `"expires"`, `"expires","risk"`)), "line 2 keys: the export has a column risk that this program does not know: take the newer program"},
		{"a missing column", resealed(replaced(2, `,"expires"`, ``)), "line 2 keys: the export has no column expires"},
		{"columns in another order", resealed(replaced(2, `"n","id"`, `"id","n"`)), "line 2 has the columns of keys in another order, expected n id usage"},
		{"a value too few", resealed(replaced(3, `[1,`, `[`)), "line 3 cannot be a row of keys: has 9 values, expected 10"},
		{"a text for a number", resealed(replaced(3, `[1,`, `["1",`)), "line 3 cannot be a row of keys: n: expected a whole number of 64 bits"},
		{"a fraction", resealed(replaced(3, `[1,`, `[1.5,`)), "line 3 cannot be a row of keys: n: expected a whole number of 64 bits"},
		{"65 bits", resealed(replaced(3, `[1,`, `[9223372036854775808,`)), "line 3 cannot be a row of keys: n: expected a whole number of 64 bits"},
		{"nothing for a text", resealed(replaced(3, `[1,"id 001 <&> \u2028 \t\\\"`+"\U0001F511"+`"`, `[1,null`)), "line 3 cannot be a row of keys: id: expected a text"},
		{"no base64", resealed(replaced(3, `=",`, `*",`)), "line 3 cannot be a row of keys: material: expected base64"},
		{"no object", resealed(replaced(accounts+1, `{"a":"1"`, `{"a":1`)), fmt.Sprintf("line %d cannot be a row of accounts: attributes: expected an object of texts", accounts+1)},
		{"two rows in a line", resealed(edited(3, lines[2]+lines[3])), "line 3 cannot be a row of keys: has something behind it"},
		{"half a row", resealed(edited(3, lines[2][:20])), "line 3 cannot be a row of keys: unexpected EOF"},
		{"deep nesting", resealed(edited(3, strings.Repeat("[", 100_000))), "line 3 cannot be a row of keys: invalid character '[' exceeded max depth"},
		{"carriage returns", []byte(strings.ReplaceAll(string(good), "\n", "\r\n")), "line 1 is not the beginning"},
		{"a line behind the end", append(append([]byte{}, good...), "[]\n"...), fmt.Sprintf("line %d is behind the end", last+1)},
		{"half a line behind the end", append(append([]byte{}, good...), "x"...), fmt.Sprintf("something is behind line %d, the end", last)},
		{"a name twice", resealed(replaced(accounts+2, `"id 002`, `"id 001`)), fmt.Sprintf("line %d cannot be stored in accounts", accounts+2)},
		{"a token of nobody's", resealed(replaced(families+2, `[2,`, `[7,`)), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, db := range databases[:1] {
				st := db.fresh(t)
				empty := exported(t, st)
				_, err := Import(t.Context(), st, bytes.NewReader(c.file), nil)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %s", err, c.want)
				}
				if after := exported(t, st); !bytes.Equal(empty, after) {
					t.Error("something was stored")
				}
			}
			// What needs no database is found without one.
			if _, err := Check(bytes.NewReader(c.file)); err == nil && !strings.Contains(c.want, "stored") && c.want != "" {
				t.Error("checked, and taken for good")
			}
		})
	}
}

// PostgreSQL holds other types and fewer references; what they say is as exact.
func TestPostgreSQLRefusesWithTheLine(t *testing.T) {
	good := example(t, 150)
	lines := strings.Split(strings.TrimSuffix(string(good), "\n"), "\n")
	at := func(prefix string) int {
		for n, l := range lines {
			if strings.HasPrefix(l, prefix) {
				return n + 1
			}
		}
		t.Fatal(prefix)
		return 0
	}
	accounts, tokens, clients := at(`{"table":"accounts"`), at(`{"table":"refresh_tokens"`), at(`{"table":"session_clients"`)
	for _, c := range []struct {
		line     int
		from, to string
		want     string
	}{
		{accounts + 70, `"id 070`, `"id 069`, fmt.Sprintf("line %d cannot be stored in accounts: ERROR: duplicate key", accounts+70)},
		{accounts + 140, `"name 140`, `"name \u0000`, fmt.Sprintf("line %d cannot be stored in accounts: ERROR: invalid byte sequence", accounts+140)},
		{clients + 150, `[150,`, `[151,`, fmt.Sprintf("line %d cannot be stored in session_clients: ERROR: insert or update", clients+150)},
		{tokens + 150, `[150,`, `[151,`, fmt.Sprintf("the table refresh_tokens, which ends before line %d, has rows of families 151, which is not there", tokens+151)},
	} {
		st := databases[1].fresh(t)
		changed := append([]string{}, lines...)
		changed[c.line-1] = strings.Replace(lines[c.line-1], c.from, c.to, 1)
		_, err := Import(t.Context(), st, bytes.NewReader(resealed(changed)), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
		if after := exported(t, st); strings.Contains(string(after), "\n[") {
			t.Error("something was stored")
		}
	}
}
