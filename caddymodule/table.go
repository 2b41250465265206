package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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

var userTable = rows("ID\tUSERNAME\tEMAIL\tPHONE\tNAME\tSTATE\tPASSWORD\tCREATED", func(u tokenissuer.User) []string {
	password := "none"
	if u.HasPassword {
		password = "set"
	}
	return []string{u.ID, u.Username, u.Email, u.PhoneNumber, u.Name, u.State, password, day(u.Created)}
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
