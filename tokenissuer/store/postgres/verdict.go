package postgres

import (
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// judge says what an error means. The codes are those of PostgreSQL's
// documentation, appendix A.
func judge(err error) store.Verdict {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "23505": // unique_violation
			return store.Taken
		case "22021", "22P05": // character_not_in_repertoire, untranslatable_character
			return store.Unfit
		case "40001", "40P01": // serialization_failure, deadlock_detected; 40003 may have committed
			return store.Undone
		case "55P03": // lock_not_available
			return store.Held
		case "57P01", "57P02", "57P03", // the server stops, crashed, or starts
			"25006", // the server became a standby
			"53300": // too many connections for the moment
			return store.Lost
		}
		if strings.HasPrefix(e.Code, "08") { // connection_exception
			return store.Lost
		}
		return store.Failed
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return store.Failed // somebody else answers, and would again
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		// What the network says of itself may pass. What else there is, a server has
		// answered: such as one that has no TLS, and will have none in ten seconds.
		if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, pgconn.ErrStandbyConnection) || errors.Is(err, pgconn.ErrReadOnlyConnection) {
			return store.Lost
		}
	}
	if _, ok := errors.AsType[*net.OpError](err); ok && !pgconn.Timeout(err) {
		return store.Lost
	}
	for _, gone := range []error{driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, pgconn.ErrConnClosed} {
		if errors.Is(err, gone) {
			return store.Lost
		}
	}
	return store.Failed
}
