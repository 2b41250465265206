package move

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

const (
	format  = "gatehouse-export"
	version = 1

	// longest is the longest line. No record comes near it: what people and clients
	// send is bounded, and so is an operator's client.
	longest = 4 << 20
)

type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

// section begins a table.
type section struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

// end is the last line.
type end struct {
	End    map[string]int64 `json:"end"`
	SHA256 string           `json:"sha256"`
}

// Moved is what an export has, or what an import stored.
type Moved struct {
	Rows   map[string]int64 `json:"rows"`   // by table
	Sealed int64            `json:"sealed"` // keys that need the key_encryption_key
	SHA256 string           `json:"sha256"` // of all lines but the last
}

// Export writes all records as they are at one moment. It holds one row at a time. Count,
// where there is one, is asked before the last line, without which nobody takes them.
func Export(ctx context.Context, from *store.Store, to io.Writer, count func(context.Context) error) (Moved, error) {
	var moved Moved
	err := from.Snapshot(ctx, func(tx *sql.Tx) (err error) {
		if err := known(ctx, from, tx); err != nil {
			return err
		}
		moved, err = export(ctx, tx, to, count)
		return err
	})
	return moved, err
}

func export(ctx context.Context, tx *sql.Tx, to io.Writer, count func(context.Context) error) (Moved, error) {
	w := &writer{out: bufio.NewWriterSize(to, 64<<10), sum: sha256.New()}
	moved := Moved{Rows: map[string]int64{}}
	if err := w.put(header{format, version}); err != nil {
		return moved, err
	}
	for _, t := range tables {
		if err := t.look(ctx, tx); err != nil {
			return moved, err
		}
		if err := w.put(section{t.name, t.names()}); err != nil {
			return moved, err
		}
		moved.Rows[t.name] = 0 // an empty one is there, too
		err := t.each(ctx, tx, func(r row) error {
			moved.Rows[t.name]++
			moved.Sealed += t.sealed(r)
			return w.put(r)
		})
		if err != nil {
			return moved, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	if count != nil {
		if err := count(ctx); err != nil {
			return moved, err
		}
	}
	moved.SHA256 = hex.EncodeToString(w.sum.Sum(nil))
	if err := w.put(end{moved.Rows, moved.SHA256}); err != nil {
		return moved, err
	}
	return moved, w.out.Flush()
}

// each hands over every row, in order.
func (t *table) each(ctx context.Context, tx *sql.Tx, do func(row) error) error {
	rows, err := tx.QueryContext(ctx, t.selection())
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	cells := t.cells()
	for rows.Next() {
		if err := rows.Scan(cells...); err != nil {
			return err
		}
		r, err := t.read(cells)
		if err != nil {
			return fmt.Errorf("%s %d: %w", t.columns[0].name, *cells[0].(*int64), err)
		}
		if err := do(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// keys is the table whose rows may be of no use to who has them.
const keys = "keys"

// sealed is 1 for a key that is encrypted.
func (t *table) sealed(r row) int64 {
	if t.name == keys && t.signing(r).Sealed {
		return 1
	}
	return 0
}

// signing is a row of the table keys as far as it takes to open it.
func (t *table) signing(r row) (k store.Key) {
	for i, c := range t.columns {
		switch v := r[i].(type) {
		case string:
			switch c.name {
			case "id":
				k.ID = v
			case "usage":
				k.Use = v
			}
		case []byte:
			k.Material = v // the only one
		case int64:
			k.Sealed = k.Sealed || c.name == "sealed" && v != 0
		}
	}
	return k
}

// writer writes lines and adds them up.
type writer struct {
	out *bufio.Writer
	sum hash.Hash
}

func (w *writer) put(v any) error {
	b, err := line(v)
	if err != nil {
		return err
	}
	if len(b) > longest {
		return fmt.Errorf("a line of %d bytes is longer than an import takes, %d", len(b), longest)
	}
	w.sum.Write(b) // never fails
	_, err = w.out.Write(b)
	return err
}
