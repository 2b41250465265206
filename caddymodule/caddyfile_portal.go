package caddymodule

import "github.com/gatehouse-auth/gatehouse/tokenissuer"

// portal parses:
//
//	portal {
//		name <text>
//		logo <file>
//		color <#rgb|#rrggbb>
//	}
func (p *issuerParser) portal() error {
	pages := &Portal{At: at(p.Dispenser)}
	b := newBlock(p.Dispenser, "portal")
	if err := b.read(words{
		"name":  b.prose(&pages.Name),
		"logo":  b.text(&pages.Logo),
		"color": b.color(&pages.Color),
	}); err != nil {
		return err
	}
	if len(b.lines) == 1 {
		return placed("portal: empty: expected name, logo or color", pages.At)
	}
	for word, line := range b.lines {
		if word != "" {
			p.lines["portal "+word] = line
		}
	}
	p.app.Portal = pages
	return nil
}

// logo is the file of the logo. Like that of ca_file it is on the machine that the
// configuration is for.
func (p *Portal) logo(r *reader) string {
	const word = "portal logo"
	file, known := r.text(word, p.Logo)
	if r.repl == nil || !known {
		return ""
	}
	if err := (tokenissuer.Portal{Logo: file}).CheckLogo(); err != nil {
		r.fail(word, p.Logo, err.Error())
	}
	return file
}

// scope parses:
//
//	scope <name> <text>
func (p *issuerParser) scope() error {
	s := Scope{At: at(p.Dispenser)}
	if !p.AllArgs(&s.Name, &s.Text) || s.Name == "" || s.Text == "" {
		return p.Errf("%s: scope: expected a name and a text in quotes", p.name)
	}
	for _, other := range p.app.Scopes {
		if other.Name == s.Name {
			return p.Errf("%s: scope %s stands twice, first at %s", p.name, s.Name, other.At)
		}
	}
	p.app.Scopes = append(p.app.Scopes, s)
	return nil
}
