package store

import "time"

// Hash is the SHA-256 of a secret that was handed out: a refresh token, a
// code, an opaque token, a session cookie. The secret itself is never stored.
type Hash [32]byte

// AccountState says whether an account may sign in.
type AccountState string

// The states an operator can put an account in. A lock after failed attempts
// is not one of them: it belongs to a name and an address, see Attempt.
const (
	Active AccountState = "active"
	Locked AccountState = "locked"
	Frozen AccountState = "frozen"
)

// Account is a user of the issuer. Identifiers are stored normalised; ""
// means that the account has none of that kind.
type Account struct {
	ID             string // the `sub` of its tokens, a UUID, never reused
	Username       string
	Email          string
	Phone          string // E.164
	Name           string
	Nickname       string
	ZoneInfo       string
	Locale         string
	EmailVerified  bool
	PhoneVerified  bool
	Attributes     map[string]string // those the operator declared; nil when none is set
	PasswordHash   string            // PHC string; "" means that no password signs in
	PasswordSet    time.Time
	PasswordExpire bool // the operator demands a new password
	State          AccountState
	Created        time.Time
	Updated        time.Time
}

// String keeps the password hash, and who it is, out of logs.
func (a Account) String() string { return "account " + a.ID }

// GoString is String, for %#v.
func (a Account) GoString() string { return a.String() }

// IdentifierKind is the column an identifier is looked up in.
type IdentifierKind string

// The kinds of identifier a person signs in with.
const (
	ByUsername IdentifierKind = "username"
	ByEmail    IdentifierKind = "email"
	ByPhone    IdentifierKind = "phone_number"
)

// Family is one sign-in: the chain of refresh tokens and the access tokens
// minted from it.
type Family struct {
	ID       string
	Account  string
	Client   string
	Source   string   // auth source that proved the person
	AMR      []string // how, RFC 8176
	Scopes   []string
	Session  string // ID of the browser session it began in, "" for none
	Claims   string // JSON: what the `claims` parameter asks of userinfo, "" for nothing
	AuthTime time.Time
	Created  time.Time
	Expires  time.Time // refreshing never prolongs it
	Revoked  time.Time // zero while alive
}

// Refresh is one refresh token of a family.
type Refresh struct {
	Hash   Hash
	Family string
	N      int       // position in the chain, from 0
	Spent  time.Time // zero while it is good
}

// Token is an access token that belongs to a family: the way from a jti back
// to who signed in. Tokens of client_credentials have no row.
type Token struct {
	ID      string // jti
	Family  string
	Expires time.Time
}

// Code is an authorization code (RFC 6749 §4.1.2), not yet or already spent.
type Code struct {
	Hash        Hash
	Client      string
	Account     string
	Source      string
	RedirectURI string
	Scopes      []string
	AMR         []string
	Nonce       string
	Challenge   string // PKCE S256, "" where none was sent
	Session     string // ID of the browser session it was given in
	Claims      string // JSON: the `claims` parameter, "" where none was sent
	ACR         string // what the sign-in satisfied, "" where nothing was asked for
	AuthTime    time.Time
	Expires     time.Time
	Spent       time.Time // zero while it is good
	Family      string    // the sign-in that spending it began, "" when it was burnt
}

// Session is a browser that is signed in at the portal.
type Session struct {
	Hash     Hash   // of the cookie, which changes
	ID       string // the `sid` of its ID tokens, a UUID, which stays
	Device   string // what people know the browser by
	Account  string
	Source   string
	AMR      []string
	AuthTime time.Time
	Created  time.Time
	Seen     time.Time // to the minute
	Expires  time.Time
}

// OneTimeCode is a code sent to a phone or a mailbox, found by the token that
// the sender got.
type OneTimeCode struct {
	Hash        Hash // of the otp_token
	CodeHash    Hash // of the code, keyed with the otp_token
	Client      string
	Source      string
	Usage       string
	Kind        IdentifierKind // ByPhone or ByEmail
	Destination string         // normalised
	Sent        bool           // false: a decoy for an address that nobody has, never good
	Failures    int
	CodeExpires time.Time // of the code
	Expires     time.Time // of the otp_token
}

// Attempt counts failed sign-ins under a key: the keyed hash of a name, or of
// a name and an address prefix. Unknown names count too.
type Attempt struct {
	Key      Hash
	Failures int
	Since    time.Time
	Until    time.Time // locked until; zero when not
}

// Quota is what was taken under a key in the window that runs.
type Quota struct {
	Taken int
	Ends  time.Time // zero when nothing was taken
}

// Consent is what a person lets a client have.
type Consent struct {
	Account string
	Client  string
	Scopes  []string // in the order they were given
	Updated time.Time
}

// Opaque is an access token whose bearer string says nothing: what a JWT
// carries in itself is looked up here.
type Opaque struct {
	Hash     Hash
	ID       string // jti, by which it is revoked
	Client   string
	Subject  string
	Account  string // "" for client_credentials
	Family   string // "" for client_credentials
	Scopes   []string
	Audience []string
	Claims   string // JSON: its further claims, "" for none
	Issued   time.Time
	Expires  time.Time
}

// Delivery is a message to a client that must arrive although the client, or
// this program, is down for a while.
type Delivery struct {
	ID      string // a UUID
	Client  string
	URI     string
	Body    string
	Tries   int
	Next    time.Time // due
	Expires time.Time // of no use any more
}

// Revocation is what the gate must refuse from memory. A family or an account
// is expanded to its unexpired tokens when it is revoked.
type Revocation struct {
	Token     string    // jti; "" when Client is set
	Client    string    // every token of this client issued before NotBefore
	NotBefore time.Time // with Client
	Expires   time.Time // when nothing it names can be valid any more
}

// Key is a signing or derivation key, with its material as the store keeps it.
type Key struct {
	ID        string
	Use       string // "sig" or "derive"
	Algorithm string
	Material  []byte // PKCS #8 or raw bytes; sealed where Sealed is set
	Sealed    bool
	Created   time.Time
	SignFrom  time.Time // announced before, signs from here
	Retired   time.Time // signs no more; zero while it may
	Expires   time.Time // leaves the key set; zero until retired
}

// Client is a registered client as the admin API stores it.
type Client struct {
	ID         string
	Record     []byte // JSON
	Generation int64
	Updated    time.Time
}

// Event is an administrative or security event that must outlast the logs.
type Event struct {
	At      time.Time
	Actor   string // "operator", an account or a client
	Action  string // "account.freeze", "family.revoke" …
	Subject string
	Detail  string
}
