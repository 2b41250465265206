package message

import (
	_ "embed" // the page of a mail
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
	"unicode"
)

// The usages by which the subject of a notice is found, besides those that it has.
const (
	emailChanged = "email_changed"
	phoneChanged = "phone_changed"
	passwordSet  = "password_set"
)

// phrases are what a message says in one language. {portal}, {code}, {lifetime}
// and {subject} are filled in.
type phrases struct {
	tag                      string
	subject                  map[string]string // by usage; "" is for the others
	sms                      string
	once, stranger           string // a mail's two notes
	changed, set             string // the note of a notice: what was, and when
	alarm                    string // and what to do about it
	stop                     string // at the end of a sentence
	second, seconds, minutes string // with %d
}

// A message holds no link: people who never get one in a mail about their code
// have a reason to distrust the mail that has one.
var catalogue = map[string]phrases{
	"en": {
		tag: "en",
		subject: map[string]string{
			"login":           "Your code to sign in to {portal}",
			"signup":          "Your code to open an account at {portal}",
			"update_userinfo": "Your code to change your details at {portal}",
			"reset_password":  "Your code to set a new password at {portal}",
			AddressChanged:    "The e-mail address and phone number of your account at {portal} were changed",
			emailChanged:      "The e-mail address of your account at {portal} was changed",
			phoneChanged:      "The phone number of your account at {portal} was changed",
			PasswordChanged:   "The password of your account at {portal} was changed",
			passwordSet:       "A password was set for your account at {portal}",
			"":                "Your code for {portal}",
		},
		stop:     ".",
		changed:  "It was changed on {time}.",
		set:      "It was set on {time}.",
		alarm:    " If it was you, you need do nothing. If it was not, tell whoever runs {portal} at once: somebody else may be able to sign in to your account.",
		sms:      "{subject}: {code}. It is good for {lifetime}. Tell it to nobody.",
		once:     "It is good for {lifetime} and one use. Tell it to nobody, even if they say that they work for {portal}.",
		stranger: "You did not ask for it? Then somebody typed your address. Without the code they get no further, and you need do nothing.",
		second:   "%d second", seconds: "%d seconds", minutes: "%d minutes",
	},
	"zh": {
		tag: "zh",
		subject: map[string]string{
			"login":           "{portal} 登录验证码",
			"signup":          "{portal} 注册验证码",
			"update_userinfo": "{portal} 修改资料验证码",
			"reset_password":  "{portal} 重置密码验证码",
			AddressChanged:    "您在 {portal} 的账号的邮箱和手机号已更改",
			emailChanged:      "您在 {portal} 的账号的邮箱已更改",
			phoneChanged:      "您在 {portal} 的账号的手机号已更改",
			PasswordChanged:   "您在 {portal} 的账号的密码已修改",
			passwordSet:       "您在 {portal} 的账号已设置密码",
			"":                "{portal} 验证码",
		},
		stop:     "。",
		changed:  "更改时间：{time}。",
		set:      "设置时间：{time}。",
		alarm:    "如果是您本人操作，请忽略此邮件。如果不是，请立即联系 {portal} 的管理员：他人可能已经能够登录您的账号。",
		sms:      "{subject}：{code}，{lifetime}内有效。请勿告诉任何人。",
		once:     "{lifetime}内有效，只能使用一次。请勿告诉任何人，包括自称 {portal} 工作人员的人。",
		stranger: "如果您没有请求验证码，可能是有人输入了您的邮箱地址。没有验证码，对方无法继续，请忽略此邮件。",
		second:   "%d 秒", seconds: "%d 秒", minutes: "%d 分钟",
	},
}

//go:embed mail.html
var page string

var mailPage = template.Must(template.New("mail").Parse(page))

// SMS writes the text of a short message. The word for code stands close before
// the digits, which is how phones find what to offer in a form.
func SMS(m Message, portal string, lifetime time.Duration) Message {
	words := in(m.Locale)
	fill := words.filler(m, portal, lifetime)
	m.Locale, m.Subject, m.HTML = words.tag, "", ""
	m.Text = fill.Replace(words.sms)
	return m
}

// Mail writes subject, text and page of a mail. The code is not in the subject,
// which mail servers log and locked phones show.
func Mail(m Message, portal string, lifetime time.Duration) Message {
	words := in(m.Locale)
	fill := words.filler(m, portal, lifetime)
	m.Subject = fill.Replace("{subject}")
	return m.written(words, m.Subject+":", fill.Replace(words.once), fill.Replace(words.stranger))
}

// Notice writes the mail to an address that an account has had, or has besides the
// one that was changed. It says which of the two was, and when, but names neither:
// who reads it may be a stranger by now.
func Notice(m Message, portal string, email, phone bool) Message {
	words := in(m.Locale)
	m.Code, m.Usage = "", AddressChanged
	switch {
	case !phone:
		m.Usage = emailChanged
	case !email:
		m.Usage = phoneChanged
	}
	fill := words.filler(m, portal, 0)
	m.Usage = AddressChanged
	return m.noticed(words, fill, words.changed)
}

// PasswordNotice writes the mail to an account's address that its password was
// changed, or that it has its first.
func PasswordNotice(m Message, portal string, first bool) Message {
	words := in(m.Locale)
	what := words.changed
	if m.Code, m.Usage = "", PasswordChanged; first {
		m.Usage, what = passwordSet, words.set
	}
	fill := words.filler(m, portal, 0)
	m.Usage = PasswordChanged
	return m.noticed(words, fill, what)
}

// noticed is a notice with this note.
func (m Message) noticed(words phrases, fill *strings.Replacer, what string) Message {
	m.Subject = fill.Replace("{subject}")
	when := strings.ReplaceAll(what, "{time}", m.Time.Format("2006-01-02 15:04 MST"))
	return m.written(words, m.Subject+words.stop, when+fill.Replace(words.alarm))
}

// written is a mail with these paragraphs, and the code after the first where it
// has one.
func (m Message) written(words phrases, paragraphs ...string) Message {
	m.Locale = words.tag
	text := slices.Clone(paragraphs)
	if m.Code != "" {
		text = slices.Insert(text, 1, m.Code)
	}
	m.Text = strings.Join(text, "\n\n") + "\n"
	var html strings.Builder
	// It writes to memory, and a test executes it in every language.
	_ = mailPage.Execute(&html, struct {
		Lang, Subject, Code, First string
		Notes                      []string
	}{words.tag, m.Subject, m.Code, paragraphs[0], paragraphs[1:]})
	m.HTML = html.String()
	return m
}

// in returns the phrases of a BCP 47 tag's language: zh-CN and zh_TW are zh.
func in(locale string) phrases {
	language, _, _ := strings.Cut(strings.ReplaceAll(locale, "_", "-"), "-")
	if words, ok := catalogue[strings.ToLower(language)]; ok {
		return words
	}
	return catalogue["en"]
}

func (w phrases) filler(m Message, portal string, lifetime time.Duration) *strings.Replacer {
	portal = oneLine(portal)
	subject, known := w.subject[m.Usage]
	if !known {
		subject = w.subject[""]
	}
	return strings.NewReplacer(
		"{subject}", strings.ReplaceAll(subject, "{portal}", portal),
		"{portal}", portal, "{code}", m.Code, "{lifetime}", w.lifetime(lifetime))
}

// lifetime never promises more than there is: what is left of a minute is cut off.
func (w phrases) lifetime(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return fmt.Sprintf(w.second, int(d.Seconds()))
	case d < 2*time.Minute:
		return fmt.Sprintf(w.seconds, int(d.Seconds()))
	}
	return fmt.Sprintf(w.minutes, int(d.Minutes()))
}

// oneLine takes from a name what would be a second line, or would turn the
// direction of the text around it.
func oneLine(name string) string {
	const most = 64 // characters; a subject is to be read on a phone
	clean := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.C) || r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, name)
	runes := []rune(strings.Join(strings.Fields(clean), " "))
	return string(runes[:min(len(runes), most)])
}
