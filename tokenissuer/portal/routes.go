package portal

// route is one page. Its POST has these fields and no others.
type route struct {
	get, post func(*visit) error
	fields    []string
	anybody   bool // its forms belong to no session
}

const (
	loginPath    = "/portal/login"
	accountPath  = "/portal/account"
	passwordPath = accountPath + "/password"
)

// common are the fields of every form.
var common = []string{"form_token", "p_state", "lang"}

var routes map[string]route

func init() { // the handlers name addresses, which are in the table again
	routes = map[string]route{
		"/portal":                  {get: (*visit).slash},
		"/portal/":                 {get: (*visit).home},
		loginPath:                  {get: (*visit).loginPage, post: (*visit).login, fields: []string{"source", "switch", "username", "password"}, anybody: true},
		"/portal/code":             {get: (*visit).codePage, post: (*visit).code, fields: []string{"code"}, anybody: true},
		"/portal/expired":          {get: (*visit).expiredPage, post: (*visit).replaceExpired, fields: []string{"username", "old_password", "new_password"}, anybody: true},
		"/portal/reset":            {get: (*visit).resetPage, post: (*visit).reset, fields: []string{"username"}, anybody: true},
		"/portal/signup":           {get: (*visit).signupPage, post: (*visit).signup, fields: []string{"username"}, anybody: true},
		"/portal/signup/account":   {get: (*visit).openPage, post: (*visit).open, fields: []string{"username", "code", "new_password"}, anybody: true},
		"/portal/reset/password":   {get: (*visit).setPage, post: (*visit).set, fields: []string{"username", "code", "new_password"}, anybody: true},
		"/portal/consent":          {get: (*visit).consentPage, post: (*visit).consent, fields: []string{"decision"}},
		"/portal/continue":         {get: (*visit).continuePage},
		"/portal/return":           {get: (*visit).leave},
		"/portal/logout":           {get: (*visit).logoutPage, post: (*visit).logout},
		"/portal/account":          {get: (*visit).profilePage, post: (*visit).profile, fields: []string{"name", "nickname", "zoneinfo", "locale", "was_name", "was_nickname", "was_zoneinfo", "was_locale"}},
		emailPath:                  {get: (*visit).contactPage, post: (*visit).contact, fields: []string{"email"}},
		emailPath + codePath:       {get: (*visit).contactCodePage, post: (*visit).contactCode, fields: []string{"code"}},
		phonePath:                  {get: (*visit).contactPage, post: (*visit).contact, fields: []string{"phone_number"}},
		phonePath + codePath:       {get: (*visit).contactCodePage, post: (*visit).contactCode, fields: []string{"code"}},
		passwordPath:               {get: (*visit).passwordPage, post: (*visit).password, fields: []string{"username", "old_password", "new_password"}},
		"/portal/account/browsers": {get: (*visit).browsersPage, post: (*visit).endBrowser, fields: []string{"end"}},
		"/portal/account/apps":     {get: (*visit).appsPage, post: (*visit).endApp, fields: []string{"end"}},
	}
}

func (x route) methods() string {
	if x.post != nil {
		return "GET, HEAD, POST"
	}
	return "GET, HEAD"
}
