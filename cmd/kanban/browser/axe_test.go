package browser

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// look is a page as the tests of all pages open it.
type look struct {
	name    string
	path    string
	ready   string       // an expression
	prepare func(p *tab) // what is done to it then
	console []string     // what it says on the console, and may
	open    bool         // nobody is signed in
	fresh   bool         // of a server that has no account yet
}

// looks are all pages of the web board, with a board that has something of everything.
func looks(b board) []look {
	at := "/boards/" + b.Key
	return []look{
		{name: "signin", path: "/signin", ready: "find('button', 'Sign in')[0]", open: true},
		{name: "register", path: "/register", ready: "find('button', 'Make the account')[0]", open: true},
		{name: "setup", path: "/setup#token=0123456789abcdef", ready: "find('field', 'Setup token')[0]", open: true, fresh: true},
		{name: "boards", path: "/boards", ready: "find('link', '" + b.Key + "')[0]"},
		{name: "new-board", path: "/boards", ready: "find('link', '" + b.Key + "')[0]", prepare: func(p *tab) {
			p.click("button", "New board")
			p.wait("find('dialog', 'New board')[0]")
		}},
		{name: "board", path: at, ready: "live() && document.querySelectorAll('article.card').length > 5"},
		{name: "add-card", path: at, ready: "live() && document.querySelectorAll('article.card').length > 5", prepare: func(p *tab) {
			p.clickOn("find('button', 'Add a ticket', column('Not Started'))[0]")
			p.wait("document.activeElement.tagName === 'TEXTAREA'")
		}},
		{name: "panel", path: at + "/tickets/" + b.ticket(1), ready: "find('tab', 'History')[0] && document.body.textContent.includes('without one')"},
		{name: "history", path: at + "/tickets/" + b.ticket(2) + "?tab=history", ready: "document.body.textContent.includes('Why it is here') && document.body.textContent.includes('claimed it')"},
		{name: "palette", path: at, ready: "live() && document.querySelectorAll('article.card').length > 5", prepare: func(p *tab) {
			p.press("k", chromedp.ModifierCtrl)
			p.wait("find('option')[0]")
		}},
		{name: "keys", path: at, ready: "live() && document.querySelectorAll('article.card').length > 5", prepare: func(p *tab) {
			p.press("?")
			p.wait("find('dialog')[0]")
		}},
		{name: "lanes", path: at + "?lanes=assignee", ready: "live() && document.querySelectorAll('article.card').length > 1"},
		{name: "time", path: at + fmt.Sprintf("?at=%d", b.Moment), ready: "document.querySelector('.past-notice')?.textContent.includes('As of') && document.querySelectorAll('article.card').length > 5", prepare: func(p *tab) {
			p.wait("find('slider')[0] || document.querySelector('.time.folded button')")
			if eval[bool](p, "Boolean(document.querySelector('.time.folded button'))") {
				p.clickOn("document.querySelector('.time.folded button')")
			}
			p.wait("find('slider')[0]")
		}},
		{name: "diff", path: at + "/diff?range=day", ready: "document.querySelector('.report-says') && document.body.textContent.includes('By whom')"},
		{name: "flow", path: at + "/flow", ready: "document.querySelectorAll('canvas').length > 2"},
		{name: "settings", path: at + "/settings", ready: "find('heading', 'Webhooks')[0] && find('heading', 'Columns')[0]"},
		{name: "agents", path: "/agents", ready: "find('heading', 'Agents')[0] && document.body.textContent.includes('robin')"},
		{name: "account", path: "/account", ready: "find('heading', 'Password')[0] || find('button', 'Sign out')[0]"},
		{name: "no-access", path: "/boards/NONE", ready: "find('heading', 'No access')[0]", console: []string{"status of 404"}},
		{name: "not-found", path: "/boards/NONE/not/here", ready: "find('heading', 'Not found')[0]"},
	}
}

// at opens a page in a tab.
func (l look) at(p *tab, u *user) {
	p.t.Helper()
	p.expect(l.console...)
	if l.open {
		p.visit("/health")
		eval[chromedp.Void](p, "localStorage.removeItem('kanban.session')")
		p.visit(l.path)
	} else {
		p.as(u, l.path)
	}
	p.wait("%s", raw(l.ready))
	if l.prepare != nil {
		l.prepare(p)
	}
	// What moves in has arrived.
	p.wait("%s", still)
}

// axe-core finds nothing on any page, in either theme: WCAG 2.2 AA and its best
// practices.
func TestAxe(t *testing.T) {
	t.Parallel()
	s := common(t)
	text, err := os.ReadFile("../../../http/ui/testdata/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	u := s.register(t, "axe")
	b := fill(u, key())
	fresh := newServer(t)
	for _, dark := range []bool{false, true} {
		t.Run(map[bool]string{false: "light", true: "dark"}[dark], func(t *testing.T) {
			p, q := s.open(t), fresh.open(t)
			p.dark(dark)
			q.dark(dark)
			check := func(p *tab) []string {
				p.do(chromedp.Evaluate[chromedp.Void](string(text)))
				return eval[[]string](p, `axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
					.then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.html.slice(0, 200) + ' ' + n.failureSummary.replaceAll('\n', ' ').slice(0, 300))))`)
			}
			for _, l := range looks(b) {
				p := p
				if l.fresh {
					p = q
				}
				l.at(p, u)
				if found := check(p); len(found) > 0 {
					t.Errorf("%s: axe-core found %d:\n%s", l.name, len(found), strings.Join(found, "\n"))
				}
			}
			eval[chromedp.Void](p, "document.querySelector('main').append(new Image())")
			if found := check(p); len(found) != 1 || !strings.HasPrefix(found[0], "image-alt") {
				t.Errorf("of a picture without a text axe-core found %q", found)
			}
		})
	}
}

// fill makes a board with something of everything that a board can show.
func fill(u *user, key string) board {
	u.t.Helper()
	return furnish(u, u.board(key))
}

// furnish adds that to a board, behind the tickets that it has.
func furnish(u *user, b board) board {
	u.t.Helper()
	var now struct {
		Position int64
		Tickets  []ticket
	}
	u.call("GET", "/api/boards/"+b.Key+"/snapshot", nil, &now)
	b.Before = len(now.Tickets)
	limit := 3
	for _, k := range now.Tickets {
		if k.Column == "In Progress" {
			limit++
		}
	}
	u.limit(b, "In Progress", limit)
	type data = map[string]any
	create := func(as, title, column string, more data) data {
		d := data{"board": b.Key, "as": as, "title": title, "column": column}
		for name, v := range more {
			d[name] = v
		}
		return data{"type": "create_ticket", "data": d}
	}
	u.call("POST", "/api/commands", []data{
		create("api", "Sign-in with a one-time code", "In Progress", data{
			"priority": "urgent", "labels": []string{"api", "security", "mail", "first version"}, "assignee": u.name,
			"description": "People who forget passwords should get in **without** one.\n\n- send a code by mail\n- it works once\n\n```go\ncode := rand.Text()\n```",
			"checklist":   []string{"Codes are stored as a sum only", "A code works once", "Guessing is limited"},
		}),
		create("mail", "Send mail through the new provider", "In Progress", data{"priority": "high", "labels": []string{"api"}, "due_at": "2026-01-05T12:00:00Z"}),
		create("form", "Form for the code", "Not Started", data{"labels": []string{"web"}, "depends_on": []string{"$api"}}),
		create("docs", "Describe the sign-in for users", "Not Started", data{"priority": "low", "labels": []string{"docs"}, "depends_on": []string{"$form"}}),
		create("load", "See how many sign-ins a second one server takes", "Ready for QC", data{"labels": []string{"performance"}}),
		create("icon", "أيقونة واضحة عند ستة عشر بكسل", "Not Started", data{"priority": "low", "labels": []string{"تصميم"}}),
		create("plan", "Write down what the first version must do", "Done", data{"labels": []string{"planning"}}),
		create("long", "Card payments of customers whose bank asks for a second confirmation in its own app fail when they come back to the shop in another tab, or after the ten minutes that the bank gives them", "Blocked", nil),
	}, nil)
	call := func(ticket int, what string, body any) {
		u.call("POST", "/api/tickets/"+b.ticket(ticket)+"/"+what, body, nil)
	}
	u.call("POST", "/api/comments", data{"ticket": b.ticket(1), "text": "The provider takes **ten** mails a second."}, nil)
	call(5, "request-approval", data{"note": "Ready to be looked at"})
	call(2, "claim", data{})
	u.call("GET", "/api/boards/"+b.Key+"/snapshot", nil, &now)
	b.Moment = now.Position
	// An agent that holds a ticket, and one that is done.
	var token struct{ Token string }
	u.call("POST", "/api/auth/tokens", data{"name": "robin-" + strings.ToLower(b.Key), "kind": "agent", "role": "agent", "boards": []int64{b.ID}}, &token)
	agent := &user{t: u.t, s: u.s, name: u.name, access: token.Token}
	agent.call("POST", "/api/tickets/"+b.ticket(6)+"/claim", data{}, nil)
	u.call("POST", "/api/tickets/"+b.ticket(8)+"/move", data{"column": "Done"}, nil)
	return b
}
