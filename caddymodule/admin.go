package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func init() { caddy.RegisterModule(Admin{}) }

// Admin answers /token_issuer/… on Caddy's admin endpoint: users, clients and
// keys for operators. It is what the commands `gatehouse issuer …` talk to.
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.token_issuer", New: func() caddy.Module { return new(Admin) }}
}

const adminBase = "/token_issuer"

// operation answers one request: a value that becomes the JSON answer, or nil.
type operation func(*tokenissuer.Issuer, *http.Request) (any, error)

// Routes returns the routes; each is one operation of the issuer's.
func (Admin) Routes() []caddy.AdminRoute {
	var routes []caddy.AdminRoute
	for _, r := range []struct {
		pattern string
		op      operation
	}{
		{"GET " + adminBase + "/users", listUsers},
		{"POST " + adminBase + "/users", addUser},
		{"GET " + adminBase + "/users/{name}", showUser},
		{"DELETE " + adminBase + "/users/{name}", removeUser},
		{"POST " + adminBase + "/users/{name}/password", setPassword},
		{"POST " + adminBase + "/users/{name}/attributes", setAttributes},
		{"POST " + adminBase + "/users/{name}/address", setAddress},
		{"POST " + adminBase + "/users/{name}/lock", setState(store.Locked, "", "")},
		{"POST " + adminBase + "/users/{name}/unlock", setState(store.Active, store.Frozen, "unfreeze")},
		{"POST " + adminBase + "/users/{name}/freeze", setState(store.Frozen, "", "")},
		{"POST " + adminBase + "/users/{name}/unfreeze", setState(store.Active, store.Locked, "unlock")},
		{"GET " + adminBase + "/clients", listClients},
		{"GET " + adminBase + "/clients/{id}", showClient},
		{"POST " + adminBase + "/clients/{id}/revoke", revokeClient},
		{"GET " + adminBase + "/keys", listKeys},
		{"POST " + adminBase + "/keys/rotate", rotateKeys},
	} {
		routes = append(routes, caddy.AdminRoute{Pattern: r.pattern, Handler: caddy.AdminHandlerFunc(r.op.serve)})
	}
	return append(routes,
		caddy.AdminRoute{Pattern: "POST " + adminBase + "/backup", Handler: caddy.AdminHandlerFunc(copier(backUp).serve)},
		caddy.AdminRoute{Pattern: "POST " + adminBase + "/export", Handler: caddy.AdminHandlerFunc(copier(export).serve)})
}

// leased is what serves now, with a lease that the caller releases. After a reload
// that failed the admin endpoint belongs to the configuration that never ran.
func leased(r *http.Request) (*running, error) {
	if r.Method == http.MethodPost {
		// A page in the operator's browser can post a form here, and no JSON.
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			return nil, caddy.APIError{HTTPStatus: http.StatusUnsupportedMediaType, Err: errors.New("expected application/json")}
		}
	}
	app, err := caddy.ActiveContext().AppIfConfigured("token_issuer")
	if err != nil || !app.(*App).issuing {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("no token issuer is configured")}
	}
	run, err := app.(*App).lease(r.Context())
	if err != nil {
		return nil, caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	return run, nil
}

// serve runs an operation on the issuer that is active now.
func (op operation) serve(w http.ResponseWriter, r *http.Request) error {
	run, err := leased(r)
	if err != nil {
		return err
	}
	defer run.release()
	if err := takeTime(w, r); err != nil {
		return err
	}
	answer, err := op(run.issuer, r)
	if err != nil {
		return caddy.APIError{HTTPStatus: statusOf(err), Err: err}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if answer == nil {
		answer = struct{}{}
	}
	return json.NewEncoder(w).Encode(answer)
}

// takeTime reads the body. The admin API's ten seconds for a request are over with that,
// and whoever goes away is noticed from then on: what ends very much takes longer.
func takeTime(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("reading the request: %w", err)}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

func statusOf(err error) int {
	for _, known := range []struct {
		err    error
		status int
	}{
		{tokenissuer.ErrNotFound, http.StatusNotFound},
		{tokenissuer.ErrTaken, http.StatusConflict},
		{tokenissuer.ErrAnnounced, http.StatusConflict},
		{tokenissuer.ErrState, http.StatusConflict},
		{tokenissuer.ErrInvalid, http.StatusBadRequest},
		{errNoFile, http.StatusBadRequest},
		{store.ErrUnavailable, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, known.err) {
			return known.status
		}
	}
	return http.StatusInternalServerError
}

// read reads a JSON body strictly.
func read(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: body: %w", tokenissuer.ErrInvalid, err)
	}
	return nil
}

const mostUsers = 1000

func listUsers(i *tokenissuer.Issuer, r *http.Request) (any, error) {
	limit := 100
	if q := r.URL.Query().Get("limit"); q != "" {
		n, err := strconv.Atoi(q)
		if err != nil || n < 1 || n > mostUsers {
			return nil, fmt.Errorf("%w: limit: expected 1 to %d", tokenissuer.ErrInvalid, mostUsers)
		}
		limit = n
	}
	return i.Users(r.Context(), r.URL.Query().Get("after"), limit)
}

func addUser(i *tokenissuer.Issuer, r *http.Request) (any, error) {
	var n tokenissuer.NewUser
	if err := read(r, &n); err != nil {
		return nil, err
	}
	u, err := i.AddUser(r.Context(), n)
	if errors.Is(err, tokenissuer.ErrTaken) {
		return nil, taken(r.Context(), i, n, err)
	}
	if err != nil {
		return nil, err
	}
	return i.User(r.Context(), u.ID) // as every later answer has it
}

// taken says which identifiers belong to other users, as far as they still do.
func taken(ctx context.Context, i *tokenissuer.Issuer, n tokenissuer.NewUser, err error) error {
	var kinds []string
	for _, id := range []struct{ kind, value string }{{"username", n.Username}, {"email", n.Email}, {"phone_number", n.PhoneNumber}} {
		if id.value == "" {
			continue
		}
		if _, missing := i.User(ctx, id.value); missing == nil {
			kinds = append(kinds, id.kind)
		}
	}
	if kinds == nil {
		return err
	}
	return fmt.Errorf("%s: %w", strings.Join(kinds, ", "), err)
}

func showUser(i *tokenissuer.Issuer, r *http.Request) (any, error) {
	return i.User(r.Context(), r.PathValue("name"))
}

func removeUser(i *tokenissuer.Issuer, r *http.Request) (any, error) {
	user, err := i.User(r.Context(), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return removed{user.ID}, i.RemoveUser(r.Context(), user.ID)
}

// removed answers a removal.
type removed struct {
	Removed string `json:"removed"` // the id
}

func setPassword(i *tokenissuer.Issuer, r *http.Request) (any, error) {
	var body struct {
		Password string `json:"password"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	if err := i.SetUserPassword(r.Context(), r.PathValue("name"), body.Password); err != nil {
		return nil, err
	}
	return i.User(r.Context(), r.PathValue("name"))
}

// setAddress takes email and phone_number: one that is missing stays, "" is taken away.
func setAddress(i *tokenissuer.Issuer, r *http.Request) (any, error) {
	var to tokenissuer.UserAddress
	if err := read(r, &to); err != nil {
		return nil, err
	}
	user, err := i.User(r.Context(), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if err := i.SetUserAddress(r.Context(), user.ID, to); err != nil {
		return nil, err
	}
	return i.User(r.Context(), user.ID) // the name may be the address before
}

// setAttributes takes the attributes to write by their names; "" takes one away.
func setAttributes(i *tokenissuer.Issuer, r *http.Request) (any, error) {
	var values map[string]string
	if err := read(r, &values); err != nil {
		return nil, err
	}
	if err := i.SetUserAttributes(r.Context(), r.PathValue("name"), values); err != nil {
		return nil, err
	}
	return i.User(r.Context(), r.PathValue("name"))
}

// changed answers a change of a user's state.
type changed struct {
	tokenissuer.User
	Was string `json:"was"` // the state before
}

// setState makes an operation that brings a user into a state, unless it is in
// one that another operation ends: to unlock must not unfreeze. A user has one
// state, so locked and frozen replace each other; the answer says what was.
func setState(to, unless store.AccountState, instead string) operation {
	return func(i *tokenissuer.Issuer, r *http.Request) (any, error) {
		name := r.PathValue("name")
		was, err := i.SetUserState(r.Context(), name, to, unless)
		switch {
		case errors.Is(err, tokenissuer.ErrState) && was == unless:
			return nil, fmt.Errorf("%w: %s ends that", err, instead)
		case err != nil:
			return nil, err
		}
		after, err := i.User(r.Context(), name)
		return changed{after, string(was)}, err
	}
}

func listKeys(i *tokenissuer.Issuer, _ *http.Request) (any, error) { return i.KeyList(i.Now()), nil }

func rotateKeys(i *tokenissuer.Issuer, r *http.Request) (any, error) {
	if err := i.RotateKeys(r.Context()); err != nil {
		return nil, err
	}
	return i.KeyList(i.Now()), nil
}

// Interface guard
var _ caddy.AdminRouter = (*Admin)(nil)
