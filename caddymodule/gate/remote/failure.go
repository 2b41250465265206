package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

// Result is how a fetch ended. They are a closed set, fit for a metric's label.
type Result string

// How fetches end.
const (
	OK          Result = "ok"
	Unreachable Result = "unreachable"  // no connection, or one that broke
	Untrusted   Result = "untrusted"    // its certificate
	TimedOut    Result = "timeout"      //
	Forbidden   Result = "forbidden"    // an address that is never fetched from
	Redirected  Result = "redirected"   //
	Status      Result = "status"       // neither 200 nor a redirect
	TooLarge    Result = "too_large"    //
	Malformed   Result = "malformed"    // not what it should be
	WrongIssuer Result = "wrong_issuer" // the document is another issuer's
	Elsewhere   Result = "elsewhere"    // the keys would be on another host
	Inactive    Result = "inactive"     // of an introspection: a good answer, and not a good token
	Refused     Result = "refused"      // of an introspection: not asked, for too much is
)

// Failure is why an issuer could not be asked. Its text is fit for a log: it
// quotes nothing that was sent or received.
type Failure struct {
	Result Result
	Status int // of the answer, with Status

	words string
	code  string // the `error` of the answer (RFC 6749 §5.2), which a stranger may have written
	cause error
}

func (f *Failure) Error() string { return f.words }

func (f *Failure) Unwrap() error { return f.cause }

// ofRequest reports whether an answer is about what was asked (RFC 9110 §15.5), and not
// about who asks, or when.
func (f *Failure) ofRequest() bool {
	switch f.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return f.Status/100 == 4
}

// IsSilence reports whether the issuer was asked something that it has to answer, and did
// not: not that too much is asked, that nonsense was, or that nobody waited.
func (f *Failure) IsSilence() bool {
	return f.Result != Refused && !f.ofRequest() && !errors.Is(f.cause, context.Canceled)
}

func fail(result Result, format string, a ...any) *Failure {
	return &Failure{Result: result, words: fmt.Sprintf(format, a...)}
}

// network puts an error of the network into words that the other side has no
// part in.
func network(err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fail(TimedOut, "no answer in time")
	case errors.Is(err, context.Canceled):
		return &Failure{Result: Unreachable, words: "given up", cause: context.Canceled}
	case errors.Is(err, errAddress):
		return fail(Forbidden, "its name leads to %s", errAddress)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fail(Unreachable, "this is not TLS")
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fail(Untrusted, "%s", bad)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fail(Unreachable, "this is not TLS")
	}
	if bad, ok := errors.AsType[tls.AlertError](err); ok {
		return fail(Unreachable, "TLS: %s", bad)
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		return fail(Unreachable, "%s", failed)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fail(Unreachable, "the connection was closed")
	}
	return fail(Malformed, "the answer makes no sense")
}

// resultOf is the label of an error; nil is OK.
func resultOf(err error) Result {
	if err == nil {
		return OK
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Result
	}
	return Malformed
}
