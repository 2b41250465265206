package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// look is how somebody meets the pages.
type look struct {
	name    string
	width   int64
	scripts bool
	lang    string
}

// looks covers each pair of width, scripts and language.
var looks = []look{
	{"1280-en", 1280, true, "en"},
	{"390-en-without-scripts", 390, false, "en"},
	{"1280-zh-without-scripts", 1280, false, "zh"},
	{"390-zh", 390, true, "zh"},
}

// inEveryLook runs a story for each of them, with an account of its own.
func inEveryLook(t *testing.T, story func(b *tab, name string)) {
	for _, l := range looks {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			name := strings.ToLower(strings.Trim(strings.ReplaceAll(t.Name(), "/", "-"), "-"))
			name = strings.TrimPrefix(name, "test")
			here.user(t, name)
			story(here.tab(t, l), name)
		})
	}
}

// tab is a browser of somebody's own: its cookies are no other tab's.
type tab struct {
	*testing.T
	look
	ctx context.Context

	tolerant bool // faults are what the test is about
	mu       sync.Mutex
	faults   []string // of content security policy and the like
}

func (w *world) tab(t *testing.T, l look) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(w.browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	ctx, stop := context.WithTimeout(ctx, 3*patience) // for a whole story
	t.Cleanup(stop)
	b := &tab{T: t, look: l, ctx: ctx}
	var mobile []chromedp.EmulateViewportOption
	height := int64(800)
	if l.width < 600 {
		mobile, height = append(mobile, chromedp.EmulateMobile, chromedp.EmulateTouch), 844
	}
	b.do(chromedp.EmulateViewport(l.width, height, mobile...))
	call(b, network.Enable, network.EnableParams{})
	call(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": l.lang}})
	// Without it a tab that is not in front has no cursor.
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	b.scripted(l.scripts)
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	call(b, log.Enable, cdp.Empty{})
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			if b.tolerant {
				break
			}
			t.Error("the browser complains:", fault)
		}
	})
	return b
}

// hear notes what the browser would write into its console about a page. A
// status of 400 or 401 on a page with a problem is meant.
func (b *tab) hear(event any) {
	e, ok := event.(*log.EventEntryAdded)
	if ok && e.Entry.Source != log.EntrySourceNetwork && (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.faults = append(b.faults, fmt.Sprintf("%s %s %s", e.Entry.Level, e.Entry.Source, e.Entry.Text))
	}
}

func (b *tab) scripted(on bool) {
	b.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.Fatalf("%v, at %s", err, b.where())
	}
}

// read evaluates an expression in the page.
func read[T any](b *tab, expression string) T {
	b.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.Fatalf("%s: %v", expression, err)
	}
	return value
}

// where says which page is open, for failures.
func (b *tab) where() string {
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.pathname + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// leads does what makes the browser load another page, and waits for one whose
// address holds the text.
func (b *tab) leads(to string, steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	b.do(chromedp.Evaluate[chromedp.Void]("window.before = true"))
	b.do(steps...)
	b.waits(fmt.Sprintf(`!window.before && document.readyState == "complete" && location.href.includes(%q)`, to), "to "+to)
}

// waits until a page says that it has arrived.
func (b *tab) waits(arrived, to string) {
	b.Helper()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	for {
		// An error is a page that goes away while it is asked.
		if done, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](arrived)); err == nil && done {
			return
		}
		select {
		case <-every.C:
		case <-b.ctx.Done():
			b.Fatalf("never came %s", to)
		}
	}
}

// back goes back to a page, which the browser may have kept as it was left.
func (b *tab) back(path string) {
	b.Helper()
	left := read[string](b, "location.href")
	b.do(chromedp.Evaluate[chromedp.Void]("history.back()"))
	b.waits(fmt.Sprintf(`document.readyState == "complete" && location.pathname == %q && location.href != %q`, path, left), "back to "+path)
}

func (b *tab) visit(address, to string) {
	b.Helper()
	b.leads(to, chromedp.Navigate(address))
}

// start begins a sign-in at the app.
func (b *tab) start(query, to string) {
	b.Helper()
	b.visit(here.app.URL+"/start?"+query, to)
}

// fill types into fields: name, text, …
func (b *tab) fill(pairs ...string) {
	b.Helper()
	for n := 0; n < len(pairs); n += 2 {
		field := chromedp.ID(pairs[n])
		b.do(chromedp.Clear(field), chromedp.SendKeys(field, pairs[n+1]))
	}
}

// press clicks something that leads to another page.
func (b *tab) press(selector, to string) {
	b.Helper()
	b.leads(to, chromedp.Click(chromedp.CSS(selector)))
}

// text is what an element shows.
func (b *tab) text(selector string) string {
	b.Helper()
	return read[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}

// shows wants an element that says something.
func (b *tab) shows(selector string) {
	b.Helper()
	if b.text(selector) == "" {
		b.Errorf("no %s at %s", selector, b.where())
	}
}

// said wants the app to have been told this.
func (b *tab) said(title, text string) {
	b.Helper()
	if got := b.text("h1"); got != title || !strings.Contains(b.text("#said"), text) {
		b.Fatalf("the app says %s: %s; want %s: %s", got, b.text("#said"), title, text)
	}
}

// seen looks at the page as it is: in light and dark it has to be readable, to
// fit the window and to speak the language; pictures are kept.
func (b *tab) seen(what string) {
	b.Helper()
	if got := read[string](b, "document.documentElement.lang"); !strings.HasPrefix(got, b.lang) {
		b.Errorf("%s is in %s, want %s", what, got, b.lang)
	}
	if wide := read[int64](b, "document.documentElement.scrollWidth"); wide > b.width {
		b.Errorf("%s is %d pixels wide, the window %d", what, wide, b.width)
	}
	for _, scheme := range []string{"light", "dark"} { // in dark only the colours differ
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		rules := map[string]string{"light": everyRule, "dark": colours}[scheme]
		for _, violation := range b.violations(rules) {
			b.Errorf("%s in %s: %s", what, scheme, violation)
		}
		b.photograph(fmt.Sprintf("%s-%d-%s-%s.png", what, b.width, b.lang, scheme))
	}
}

// Rules of axe-core.
const (
	everyRule = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	colours   = `["color-contrast"]`
)

// violations are the serious and critical ones that axe-core finds, by rule and
// element. It needs scripts and gets them for this long.
func (b *tab) violations(rules string) []string {
	b.Helper()
	if !b.scripts {
		b.scripted(true)
		defer b.scripted(false)
	}
	if !read[bool](b, `"axe" in window`) {
		b.do(chromedp.Evaluate[chromedp.Void](here.axe + "; undefined"))
	}
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`axe.run(document, {
		preload: false,
		runOnly: `+rules+`,
	}).then(r => r.violations.filter(v => v.impact == "serious" || v.impact == "critical")
		.flatMap(v => v.nodes.map(n => v.id + ": " + n.html + ": " + n.failureSummary)))`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatal(err)
	}
	return found
}

func (b *tab) photograph(file string) {
	b.Helper()
	beyond := true
	shot := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &beyond, OptimizeForSpeed: &beyond})
	if err := os.WriteFile(filepath.Join(here.shots, file), shot.Data, 0o600); err != nil {
		b.Fatal(err)
	}
}
