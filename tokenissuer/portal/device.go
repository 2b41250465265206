package portal

import "strings"

// marks are looked for in this order: most programs call themselves by the names
// of those before them, too.
type marks []struct{ mark, name string }

var browsers = marks{
	{"Edg", "Edge"}, // Edg, EdgA, EdgiOS
	{"OPR/", "Opera"},
	{"SamsungBrowser/", "Samsung Internet"},
	{"MicroMessenger/", "WeChat"},
	{"Firefox/", "Firefox"},
	{"FxiOS/", "Firefox"},
	{"CriOS/", "Chrome"},
	{"Chrome/", "Chrome"},
	{"Safari/", "Safari"},
}

var systems = marks{
	{"iPhone", "iPhone"},
	{"iPad", "iPad"},
	{"Android", "Android"},
	{"HarmonyOS", "HarmonyOS"},
	{"OpenHarmony", "HarmonyOS"},
	{"Windows", "Windows"},
	{"CrOS", "ChromeOS"},
	{"Mac OS X", "macOS"},
	{"Linux", "Linux"},
}

func (m marks) in(agent string) string {
	for _, x := range m {
		if strings.Contains(agent, x.mark) {
			return x.name
		}
	}
	return ""
}

// device is what people know a browser by, such as "Firefox on Linux". It never
// has a byte of the header itself, whose sender can be anybody.
func device(agent string) string {
	const most = 512
	agent = agent[:min(len(agent), most)]
	browser, system := browsers.in(agent), systems.in(agent)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	}
	return system
}
