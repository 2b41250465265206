package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// table prints a JSON answer, one object or a list of them, as rows.
type table func(out io.Writer, answer []byte) error

// printAnswer prints an answer as the operator wants it.
func printAnswer(c *cobra.Command, answer []byte, t table) error {
	if asJSON, err := c.Flags().GetBool("json"); err == nil && asJSON {
		var out bytes.Buffer
		if err := json.Indent(&out, bytes.TrimSpace(answer), "", "  "); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), out.String())
		return err
	}
	return t(c.OutOrStdout(), answer)
}

var userTable = rows("ID\tUSERNAME\tEMAIL\tPHONE\tNAME\tSTATE\tPASSWORD\tCREATED\tATTRIBUTES", func(u tokenissuer.User) []string {
	var attributes []string
	for _, name := range slices.Sorted(maps.Keys(u.Attributes)) {
		attributes = append(attributes, name+"="+u.Attributes[name])
	}
	password := "none"
	if u.HasPassword {
		password = "set"
	}
	return []string{u.ID, u.Username, u.Email, u.PhoneNumber, u.Name, u.State, password, day(u.Created), strings.Join(attributes, " ")}
})

var clientTable = rows("ID\tNAME\tTYPE\tGRANTS\tSCOPES\tSECRETS\tSTATE\tORIGIN", func(c tokenissuer.ClientInfo) []string {
	state := "active"
	if c.Disabled {
		state = "disabled"
	}
	return []string{c.ID, c.Name, c.Type, strings.Join(c.Grants, " "), strings.Join(c.Scopes, " "), strconv.Itoa(c.Secrets), state, c.Origin}
})

var keyTable = rows("ID\tALGORITHM\tSTATE\tCREATED\tSIGNS FROM\tRETIRED\tEXPIRES", func(k tokenissuer.KeyInfo) []string {
	return []string{k.ID, k.Algorithm, k.State, day(k.Created), day(k.SignFrom), day(k.Retired), day(k.Expires)}
})

// rows makes a table of one kind of record.
func rows[T any](head string, cells func(T) []string) table {
	return func(out io.Writer, answer []byte) error {
		if !bytes.HasPrefix(bytes.TrimSpace(answer), []byte("[")) {
			answer = append(append([]byte("["), answer...), ']')
		}
		var records []T
		if err := json.Unmarshal(answer, &records); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, head)
		for _, r := range records {
			line := cells(r)
			for i, cell := range line {
				// What a user calls itself must not move the terminal's cursor.
				line[i] = strings.Map(printable, orElse(cell, "-"))
			}
			fmt.Fprintln(w, strings.Join(line, "\t"))
		}
		return w.Flush()
	}
}

// line prints one line about a user instead of a table.
func line(text string) func(name string) table {
	return func(name string) table {
		return func(out io.Writer, _ []byte) error {
			_, err := fmt.Fprintln(out, strings.Map(printable, name), text)
			return err
		}
	}
}

// stateLine prints what became of a user, and what was: locked and frozen
// replace each other.
func stateLine(name string) table {
	return func(out io.Writer, answer []byte) error {
		var c changed
		if err := json.Unmarshal(answer, &c); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		text := "is " + c.State + " (was " + c.Was + ")"
		if c.State == c.Was {
			text = "is " + c.State + ", as before"
		}
		return line(text)(name)(out, nil)
	}
}

func printable(r rune) rune {
	if strconv.IsPrint(r) {
		return r
	}
	return '?'
}

// day prints a time, "" for none.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04")
}
