package caddymodule

import (
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

func init() { caddy.RegisterModule(new(App)) }

// App is the token issuer: an OAuth 2.0 and OpenID Connect authorization server
// whose tokens the handler `token_gate` accepts. Its endpoints are answered
// where the handler `token_issuer` stands.
//
// Every value may hold placeholders such as `{env.NAME}` or `{file./path}`.
// They are resolved when the configuration is loaded; an empty or unknown one is
// an error. Durations are texts such as `300s` or `30d`.
type App struct {
	// Where this was written, for error messages: `Caddyfile:42`.
	At string `json:"at,omitempty"`

	// Where each word of it was written.
	Lines Lines `json:"lines,omitempty"`

	// The issuer identifier: the `iss` of every token and the base of every
	// published address. Required: `https` and a host, or `http` and a loopback
	// host. The Host header of a request never matters.
	Issuer string `json:"issuer,omitempty"`

	// Where users, keys and tokens are kept. Default: an SQLite file
	// `token_issuer/issuer.db` in Caddy's data folder.
	Store *Store `json:"store,omitempty"`

	// RS256 (default), PS256, ES256 or EdDSA. Tokens signed before a change stay
	// good until they expire.
	SigningAlgorithm string `json:"signing_algorithm,omitempty"`

	// Whose code computes RSA signatures, the issuer's and those that its gates
	// verify: `go` (default), or `openssl` in builds with that tag, for OpenSSL 3 of
	// the machine, which takes less than half the time.
	Crypto string `json:"crypto,omitempty"`

	// How long a key signs, default `30d`; `off` keeps one key for ever. A retired
	// key stays published until the last token signed with it has expired.
	KeyRotation string `json:"key_rotation,omitempty"`

	// A secret of at least 16 characters that encrypts the private keys in the
	// store. Without it whoever can read the store can sign.
	KeyEncryptionKey string `json:"key_encryption_key,omitempty"`

	// Lifetime of access tokens, default `300s`. The gate refuses a revoked token
	// at once; others who verify it offline, after this time.
	AccessTokenLifetime string `json:"access_token_lifetime,omitempty"`

	// Lifetime of ID tokens, default `1800s`.
	IDTokenLifetime string `json:"id_token_lifetime,omitempty"`

	// How long after the sign-in refresh tokens are good, default `24h`. Refreshing
	// does not prolong it.
	RefreshTokenLifetime string `json:"refresh_token_lifetime,omitempty"`

	// How long a spent refresh token answers its successor again, default `10s`,
	// for clients whose answer was lost on the way.
	RefreshWindow string `json:"refresh_window,omitempty"`

	// The ISO 3166 region in which phone numbers without + are read, default `CN`.
	PhoneRegion string `json:"phone_region,omitempty"`

	// Further attributes of users that they write themselves, such as a nickname for
	// the team: texts of at most 256 bytes, which clients set by `/signup` and PATCH
	// `/userinfo`, and learn where their `claims` name them. At most 16 together with
	// `operator_attribute`.
	Attributes []string `json:"attributes,omitempty"`

	// Attributes that only operators write, such as a role: by `gatehouse issuer user
	// set`. Clients learn them where their `claims` name them, in access tokens of
	// every form and in introspection too: a gate's `claim` can demand them.
	OperatorAttributes []string `json:"operator_attributes,omitempty"`

	// How long an authorization code waits to be redeemed, default `5m`.
	AuthorizationCodeLifetime string `json:"authorization_code_lifetime,omitempty"`

	// Name the issuer in the authorization answers of every dialect (RFC 9207);
	// those of dialect oauth always do.
	ISSParameter bool `json:"iss_parameter,omitempty"`

	// The languages of the pages for people, of `en` and `zh`; the first is the
	// default. Default: both, English first.
	Locale []string `json:"locale,omitempty"`

	// What scopes are called on the consent page.
	Scopes []Scope `json:"scopes,omitempty"`

	// How the pages for people look. They are served while a client has the
	// authorization_code grant.
	Portal *Portal `json:"portal,omitempty"`

	// How requests are answered that name no known client: `ciam` (default) or
	// `oauth`, which answers as the RFCs do where the two differ.
	Dialect string `json:"dialect,omitempty"`

	// Keep the messages of auth sources without `send` in the place of sending them,
	// readable in the log and at `/portal/dev/inbox`. Refused unless the issuer's
	// host is loopback.
	Development bool `json:"development,omitempty"`

	// How much is answered before the issuer refuses.
	Limits *Limits `json:"limits,omitempty"`

	// The ways users prove themselves. Without any there is one, `password`,
	// associated with every client that has the password grant.
	AuthSources []AuthSource `json:"auth_sources,omitempty"`

	// The applications that get tokens.
	Clients []Client `json:"clients,omitempty"`

	ctx      caddy.Context
	logger   *zap.Logger
	issuing  bool // false where Caddy made the app for gates that trust others
	resolved tokenissuer.Config
	offer    *offer // what it has for the gates

	resources map[wanted]*resource // by address; whole before the app says that it runs

	rules      tokenissuer.KeyRules
	store      database                   // empty without an issuer
	gates      []*Gate                    // of this configuration
	onHosts    *hostLogins                // of those gates; ask hostLogins
	conns      map[*caddyhttp.Server]bool // that have requests know their connection
	served     bool                       // a handler answers the issuer's endpoints
	directives []*Issuer                  // those handlers
	looked     bool                       // at the sites

	running atomic.Pointer[running]
	ready   chan struct{} // closed when running is set, or never will be
	settle  sync.Once     // of ready
	joined  *shared       // to be left
	remotes remotes       // to be left, too
}

// Store says where the issuer keeps its records.
type Store struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// Where each word of it was written.
	Lines Lines `json:"lines,omitempty"`

	// The database: `sqlite`, a file of this machine, or `postgres`, which any number
	// of nodes share.
	Type string `json:"type,omitempty"`

	// Of `sqlite`: the database file. Its folder is made when the server starts.
	Path string `json:"path,omitempty"`

	// Of `postgres`: the address, as `postgres://user@host/database?sslmode=verify-full`
	// with `sslrootcert`, `search_path` and any setting of the server's for a session.
	// Best a placeholder, for its password.
	// `pool_max_conns` is how many connections a node may have, default 16.
	Address string `json:"address,omitempty"`

	// Of `postgres`: how long a node may be without news of the others' revocations,
	// default `30s`.
	MaxStaleness string `json:"max_staleness,omitempty"`

	// Of `postgres`: what the gates of a node do that is without news for longer.
	// `refuse` (default) answers 503, `serve` accepts what may be revoked.
	WhenStale string `json:"when_stale,omitempty"`
}

// Portal is how the pages for people look.
type Portal struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// What the pages are headed with. Default: the issuer's host.
	Name string `json:"name,omitempty"`

	// An image file of at most 1 MiB: svg, png, jpeg, webp or gif.
	Logo string `json:"logo,omitempty"`

	// The colour of buttons, `#rgb` or `#rrggbb`; their text is black or white,
	// whichever can be read.
	Color string `json:"color,omitempty"`
}

// Scope is what a scope is called where people are asked for it.
type Scope struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// The scope.
	Name string `json:"name,omitempty"`

	// What it lets an application do, as a sentence to the person.
	Text string `json:"text,omitempty"`
}

// Limits bound what one peer may ask.
type Limits struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// How many POST requests from one address, or one /64 of IPv6, may be refused
	// (400 or 401) within the duration; those of a client that proved its secret do
	// not count. Beyond it what proves neither a client's secret nor a token is
	// answered 429 from there, until time has made up for it. Default: 600 in a minute.
	TokensPerAddress *Rate `json:"tokens_per_address,omitempty"`

	// Messages with a one-time code to one phone number or mailbox. A rate within
	// less than an hour replaces the default of 1 in `30s`, another that of 50 in
	// `24h`.
	OTPPerNumber []Rate `json:"otp_per_number,omitempty"`

	// Messages that one client has sent. Default: 1000 in `1h`.
	OTPPerClient *Rate `json:"otp_per_client,omitempty"`
}

// Rate is a number of times within a duration.
type Rate struct {
	// How often.
	Count Number `json:"count,omitempty"`

	// Within how long.
	Within string `json:"within,omitempty"`
}

// AuthSource is one way users prove themselves.
type AuthSource struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// Where each word of it was written.
	Lines Lines `json:"lines,omitempty"`

	// The name clients are associated with, the `auth_source_id` of requests.
	Name string `json:"name,omitempty"`

	// `password`, `sms_otp` or `email_otp`: by a one-time code to a phone or a mailbox.
	Type string `json:"type,omitempty"`

	// What may be typed as the user name: `username`, `email`, `phone_number`.
	// Default: username and email.
	Identifiers []string `json:"identifiers,omitempty"`

	// Failures that lock a name, and for how long. Default: 5 and `15m`.
	Lockout *Rate `json:"lockout,omitempty"`

	// The least number of characters of passwords set from now on, default 8.
	PasswordMinLength Number `json:"password_min_length,omitempty"`

	// How old a password may get. Default: any age.
	PasswordMaxAge string `json:"password_max_age,omitempty"`

	// How many of the last passwords of a user, the present one among them, a new
	// one must not be, 1 to 128. Each costs a hash at every change. Default: any may
	// come again.
	PasswordHistory Number `json:"password_history,omitempty"`

	// The digits of a one-time code, 1 to 6, default 6. Five wrong codes end an
	// otp_token, and twenty in a day, over all of them, a network's guessing at a number.
	Digits Number `json:"digits,omitempty"`

	// How long a one-time code is good, `1s` to `300s`, default `60s`.
	Lifetime string `json:"lifetime,omitempty"`

	// What hands one-time codes on. Required, but for `development`.
	Send *Send `json:"send,omitempty"`
}

// Client is an application that gets tokens.
type Client struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// Where each word of it was written.
	Lines Lines `json:"lines,omitempty"`

	// The `client_id`.
	ID string `json:"id,omitempty"`

	// What people are shown instead of the id.
	Name string `json:"name,omitempty"`

	// Where the application runs: `web`, `spa`, `mobile` or `m2m`.
	Type string `json:"type,omitempty"`

	// The client's secrets: one, or two while one is being replaced. Required for
	// web and m2m.
	Secrets []Secret `json:"secrets,omitempty"`

	// Where authorization codes may be sent, compared byte by byte: https, http on
	// loopback, or for mobile a scheme that is a domain name backwards.
	RedirectURIs []string `json:"redirect_uris,omitempty"`

	// Where a browser may be sent after signing out.
	LogoutRedirectURIs []string `json:"logout_redirect_uris,omitempty"`

	// Told with a signed logout token when a person signs out of the browser that a
	// sign-in of the client began in. Tried again for a day.
	BackchannelLogoutURI string `json:"backchannel_logout_uri,omitempty"`

	// A PEM file with the authorities that the certificate of backchannel_logout_uri
	// is verified against, instead of the system's. It is read when the configuration
	// is loaded.
	BackchannelLogoutCAFile string `json:"backchannel_logout_ca_file,omitempty"`

	// What ends for the client when a person signs out of a browser: `tokens`, those
	// of its sign-ins that began there with their refresh tokens, or the browser's
	// `session` alone. Default: tokens with backchannel_logout_uri, session without.
	Logout string `json:"logout,omitempty"`

	// The origins whose scripts may read the answers of the token, revocation,
	// userinfo, key and metadata endpoints.
	CORSOrigins []string `json:"cors_origins,omitempty"`

	// No consent page: the application is the operator's own.
	FirstParty bool `json:"first_party,omitempty"`

	// Let people open accounts through the client: a web client by `POST /signup`,
	// with a one-time code for each address; any by `auto_signup` in the otp grants,
	// which is as absent without this word.
	SignUp bool `json:"signup,omitempty"`

	// What the client may ask tokens for, by `audience` with client_credentials.
	// Otherwise its tokens are for itself. A token for somebody else also says
	// whose it is, in `client_id`.
	Audience []string `json:"audience,omitempty"`

	// Let a web client redeem a code by its id and the PKCE verifier alone.
	PKCEWithoutSecret bool `json:"pkce_without_secret,omitempty"`

	// Let a spa or mobile client have one-time codes sent with its id alone, at most
	// 30 an hour for one address. Whoever knows the id can then, too.
	OTPSendWithoutSecret bool `json:"otp_send_without_secret,omitempty"`

	// What the client may earn tokens with: `authorization_code`, `password`, `otp`,
	// `client_credentials`, `refresh_token`. `otp` is the grants of one-time codes by
	// SMS and by e-mail, `http://tencentciam.com/oauth2/grant-type/otp/sms` and
	// `…/email`; each is also `<issuer>/oauth2/grant-type/otp/…` and
	// `urn:gatehouse:grant-type:otp:…`.
	Grants []string `json:"grants,omitempty"`

	// The scopes it may ask for. With the password grant of dialect ciam a token
	// always has `openid` and nothing else, as documented; with client_credentials
	// it never has openid, profile, email, phone, address or offline_access. A client
	// that has no other scope gets a token without any, and an answer without `scope`.
	Scopes []string `json:"scopes,omitempty"`

	// The auth sources its users may use; the first is the preferred one.
	AuthSources []string `json:"auth_sources,omitempty"`

	// Further claims of its ID tokens and userinfo answers; those of `attribute`,
	// too.
	Claims []string `json:"claims,omitempty"`

	// Whose tokens it may introspect: `own` (default) or `any`.
	Introspect string `json:"introspect,omitempty"`

	// Whether refreshing gives a new refresh token: `rotate` (default for spa and
	// mobile) or `reuse` (default for web and m2m).
	Refresh string `json:"refresh,omitempty"`

	// How its requests and answers are spelled, and at which paths: `ciam`
	// (default) and `oauth` at `/oauth2`, `idaas` at `/api/v1/oauth2`.
	Dialect string `json:"dialect,omitempty"`

	// The form of its access tokens: `jwt` (default of ciam), `at+jwt` (RFC 9068,
	// default of oauth) or `opaque` (default of idaas).
	AccessToken string `json:"access_token,omitempty"`

	// Overrides the issuer's access_token_lifetime, which for idaas is 2h.
	AccessTokenLifetime string `json:"access_token_lifetime,omitempty"`

	// A disabled client gets no tokens, and the gate refuses those it has.
	Disabled bool `json:"disabled,omitempty"`
}

// Secret is what a client proves itself with. Exactly one of its values is set.
type Secret struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// The secret, best as a placeholder: what is written here can be read back
	// from Caddy's admin API and from its autosaved configuration.
	Value string `json:"value,omitempty"`

	// The secret's hash, as a PHC string such as `$argon2id$…`.
	Hash string `json:"hash,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "token_issuer", New: func() caddy.Module { return new(App) }}
}
