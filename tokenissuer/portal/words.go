package portal

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

//go:embed words/*.json
var wordFiles embed.FS

// words is one language of the pages.
type words struct {
	code string // as the operator and the lang parameter name it
	text map[string]string
}

// T is a text with its arguments. A key that is missing shows itself: a test
// compares the catalogs.
func (w *words) T(key string, args ...any) string {
	text, ok := w.text[key]
	switch {
	case !ok:
		return key
	case len(args) == 0:
		return text
	}
	return fmt.Sprintf(text, args...)
}

// first is the text of the first key that there is.
func (w *words) first(keys ...string) string {
	for _, k := range keys {
		if text, ok := w.text[k]; ok {
			return text
		}
	}
	return ""
}

// languages is what the operator offers, the default first.
type languages struct {
	all     []*words
	matcher language.Matcher
}

func newLanguages(codes []string) (*languages, error) {
	l := &languages{}
	var tags []language.Tag
	for _, code := range codes {
		file, err := wordFiles.ReadFile("words/" + code + ".json")
		if err != nil {
			return nil, fmt.Errorf("locale %q is not one of en, zh", code)
		}
		w := &words{code: code}
		if err := json.Unmarshal(file, &w.text); err != nil {
			return nil, fmt.Errorf("reading the texts of %s: %w", code, err)
		}
		l.all = append(l.all, w)
		tags = append(tags, language.Make(w.T("language")))
	}
	l.matcher = language.NewMatcher(tags)
	return l, nil
}

// chosen is the language a lang parameter names exactly, or nil.
func (l *languages) chosen(code string) *words {
	i := slices.IndexFunc(l.all, func(w *words) bool { return w.code == code })
	if i < 0 {
		return nil
	}
	return l.all[i]
}

// mostLanguages bounds what is parsed, in bytes, of a header or parameter that a stranger wrote.
const mostLanguages = 256

// pick finds the language for a page: what the person chose on it, what the app
// asked for, what the browser asks for, the operator's first.
func (l *languages) pick(lang string, asked []string, r *http.Request) *words {
	if w := l.chosen(lang); w != nil {
		return w
	}
	for _, wish := range []string{strings.Join(asked, ","), r.Header.Get("Accept-Language")} {
		if len(wish) > mostLanguages {
			wish = wish[:max(0, strings.LastIndexByte(wish[:mostLanguages], ','))]
		}
		tags, _, err := language.ParseAcceptLanguage(wish)
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, i, confidence := l.matcher.Match(tags...); confidence != language.No {
			return l.all[i]
		}
	}
	return l.all[0]
}
