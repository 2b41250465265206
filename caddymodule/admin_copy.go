package caddymodule

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// copying is held by the one request that copies the store: each reads all of it.
var copying sync.Mutex

// stallMost is how long whoever gets a copy may take nothing: the database keeps
// everything that is written meanwhile for as long as somebody reads it.
const stallMost = time.Minute

// copier answers a request with a copy of the whole store.
type copier func(ctx context.Context, run *running, to *outlet) error

func (c copier) serve(w http.ResponseWriter, r *http.Request) error {
	run, err := leased(r)
	if err != nil {
		return err
	}
	defer run.release()
	if err := takeTime(w, r); err != nil {
		return err
	}
	if !copying.TryLock() {
		return caddy.APIError{HTTPStatus: http.StatusConflict, Err: errors.New("another copy of the store is being made: try again when it is done")}
	}
	defer copying.Unlock()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	to := &outlet{w: w, control: http.NewResponseController(w), most: stallMost}
	err = c(r.Context(), run, to)
	switch {
	case err == nil:
		_ = to.control.SetWriteDeadline(time.Time{})
	case !to.begun:
		w.Header().Del("Content-Length")
		return caddy.APIError{HTTPStatus: statusOf(err), Err: err}
	default:
		caddy.Log().Named("token_issuer").Error("a copy of the store was not finished", zap.Error(err))
		panic(http.ErrAbortHandler) // nobody may take what was sent for all of it
	}
	return nil
}

// outlet writes to someone who has to go on reading.
type outlet struct {
	w       http.ResponseWriter
	control *http.ResponseController
	most    time.Duration // that one write may take
	begun   bool
}

func (o *outlet) Write(b []byte) (int, error) {
	if err := o.control.SetWriteDeadline(time.Now().Add(o.most)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	o.begun = true
	return o.w.Write(b)
}

var errNoFile = errors.New("the store is a PostgreSQL database, which its own tools back up, such as pg_dump or pg_basebackup; issuer export writes a copy for any database")

// backUp sends the SQLite file as it is at one moment.
func backUp(ctx context.Context, run *running, to *outlet) error {
	if run.where.file == "" {
		return errNoFile
	}
	if err := run.issuer.NoteCopy(ctx, "store.backup"); err != nil {
		return err
	}
	f, err := sqlite.BackUp(ctx, run.where.file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	to.w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	_, err = io.Copy(to, f)
	return err
}

// export sends all records, for another database.
func export(ctx context.Context, run *running, to *outlet) error {
	_, err := run.issuer.Export(ctx, to)
	return err
}
