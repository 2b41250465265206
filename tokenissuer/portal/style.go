package portal

import (
	"crypto/sha256"
	_ "embed" // the style sheet
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed page/style.css
var styleSheet string

// asset is a file that the pages refer to. Its address changes with its bytes,
// so it may be kept for ever.
type asset struct {
	path, version, mediaType string
	body                     []byte
}

func newAsset(path, mediaType string, body []byte) *asset {
	sum := sha256.Sum256(body)
	return &asset{path, hex.EncodeToString(sum[:8]), mediaType, body}
}

// address is empty where there is no asset.
func (a *asset) address() string {
	if a == nil {
		return ""
	}
	return a.path + "?v=" + a.version
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.mediaType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	// An SVG opened by itself is a document that could run scripts.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.body) // an error means that nobody is left to tell
	}
}

// HasAsset reports whether a path is of a file that the pages refer to.
func (p *Portal) HasAsset(path string) bool {
	return path == p.style.path || p.logo != nil && path == p.logo.path
}

const maxLogo = 1 << 20

var logoTypes = map[string]string{
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif",
}

// CheckLogo says what is wrong with the file of a logo.
func CheckLogo(file string) error {
	_, err := newLogo(file)
	return err
}

// CheckColor says what is wrong with a colour.
func CheckColor(color string) error {
	_, err := parseColor(color)
	return err
}

func newLogo(file string) (*asset, error) {
	if file == "" {
		return nil, nil
	}
	mediaType, ok := logoTypes[strings.ToLower(filepath.Ext(file))]
	if !ok {
		return nil, fmt.Errorf("logo %s is not an svg, png, jpeg, webp or gif file", file)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("logo: %w", err)
	}
	if len(body) > maxLogo {
		return nil, fmt.Errorf("logo %s is larger than 1 MiB", file)
	}
	return newAsset("/portal/logo", mediaType, body), nil
}

func newStyle(color string) (*asset, error) {
	c, err := parseColor(color)
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer("BRAND_TEXT", c.text(), "BRAND", c.String()).Replace(styleSheet)
	return newAsset("/portal/style.css", mime.FormatMediaType("text/css", map[string]string{"charset": "utf-8"}), []byte(text)), nil
}

// rgb is a colour of sRGB.
type rgb [3]uint8

var errColor = errors.New("expected a colour of the form #rgb or #rrggbb")

func parseColor(s string) (rgb, error) {
	digits, ok := strings.CutPrefix(s, "#")
	if ok && len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != 3 {
		return rgb{}, fmt.Errorf("%w, not %q", errColor, s)
	}
	return rgb(b), nil
}

func (c rgb) String() string { return "#" + hex.EncodeToString(c[:]) }

// luminance is that of WCAG 2.
func (c rgb) luminance() float64 {
	var sum float64
	for i, weight := range [3]float64{0.2126, 0.7152, 0.0722} {
		v := float64(c[i]) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}

// contrast is that of WCAG 2, 1 to 21.
func contrast(a, b rgb) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// text is white or black, whichever stands out more. The better of the two has
// 4.58 at least on every colour, and AA asks for 4.5.
func (c rgb) text() string {
	white, black := rgb{255, 255, 255}, rgb{}
	if contrast(c, white) >= contrast(c, black) {
		return white.String()
	}
	return black.String()
}
