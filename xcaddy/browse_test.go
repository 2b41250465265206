package main

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// walk is the key of a story's browser, which keeps its cookies and its page.
type walk struct{}

type visitor struct {
	jar  http.CookieJar
	page string
}

var (
	formAction = regexp.MustCompile(`<form method="post" action="([^"]+)"`)
	hiddenPair = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
	nextPage   = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]+)"`)
)

// browse goes through pages as a person does, and follows where they lead:
//
//	browse URL
//	browse submit [FORM]     sends the form of the page, with these fields filled in
//
// The page is stdout. Where the browser is sent away from the site, the address
// is, and what its query says is in variables: CODE, ERROR.
func browse(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && (len(args) == 1 || len(args) == 2 && args[0] == "submit"), "browse URL | browse submit [FORM]")
	person := ts.Value(walk{}).(*visitor)
	client := browser(ts)
	client.Jar = person.jar
	defer client.CloseIdleConnections()
	method, to, body := http.MethodGet, args[0], ""
	if to == "submit" {
		method = http.MethodPost
		to, body = person.form(ts, args[1:])
	}
	for range 10 {
		if !strings.HasPrefix(to, ts.Getenv("SITE")+"/") {
			arrive(ts, to)
			return
		}
		to = person.open(ts, client, method, to, body)
		if to == "" {
			fmt.Fprint(ts.Stdout(), person.page)
			return
		}
		method, body = http.MethodGet, ""
	}
	ts.Fatalf("redirected without end")
}

// form is where the page's form goes, and what it sends.
func (v *visitor) form(ts *testscript.TestScript, typed []string) (to, body string) {
	action := formAction.FindStringSubmatch(v.page)
	if action == nil {
		ts.Fatalf("no form on the page: %s", v.page)
	}
	fields := url.Values{}
	if len(typed) == 1 {
		var err error
		fields, err = url.ParseQuery(typed[0])
		ts.Check(err)
	}
	for _, pair := range hiddenPair.FindAllStringSubmatch(v.page, -1) {
		fields.Set(pair[1], html.UnescapeString(pair[2]))
	}
	return ts.Getenv("SITE") + html.UnescapeString(action[1]), fields.Encode()
}

// open loads one page and says where it leads by itself, or nothing.
func (v *visitor) open(ts *testscript.TestScript, client *http.Client, method, address, body string) string {
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	ts.Check(err)
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := client.Do(r)
	ts.Check(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	ts.Check(err)
	v.page = string(text)
	if to, err := res.Location(); err == nil {
		return to.String()
	}
	if next := nextPage.FindStringSubmatch(v.page); next != nil {
		to, err := r.URL.Parse(html.UnescapeString(next[1]))
		ts.Check(err)
		return to.String()
	}
	return ""
}

// arrive is the app's part: it takes what the address says.
func arrive(ts *testscript.TestScript, address string) {
	to, err := url.Parse(address)
	ts.Check(err)
	ts.Setenv("CODE", to.Query().Get("code"))
	ts.Setenv("ERROR", to.Query().Get("error"))
	fmt.Fprintln(ts.Stdout(), address)
}

func newVisitor() (*visitor, error) {
	jar, err := cookiejar.New(nil)
	return &visitor{jar: jar}, err
}
