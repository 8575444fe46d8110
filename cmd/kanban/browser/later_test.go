package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A card is lifted, walked and dropped by keyboard, and a live region says so.
func TestMoveByKeyboard(t *testing.T) {
	t.Parallel()
	s := common(t)
	u := s.register(t, "keys")
	b := u.board(key())
	k := u.ticket(b, "Not Started", "Walks")
	p := s.open(t)
	p.onBoard(u, b)
	p.wait("(card(%[1]s).focus(), card(%[1]s).matches(':focus') && %[2]s)", k.Key, still)
	p.press(" ")
	p.wait("document.querySelector('.card.lifted') && document.body.textContent.includes('lifted')")
	p.press(kb.ArrowRight)
	p.press(kb.Escape)
	p.wait("!document.querySelector('.card.lifted') && keys('Not Started').join() === %s", k.Key)
	p.press(" ")
	p.wait("document.querySelector('.card.lifted')")
	p.press(kb.ArrowRight)
	p.press(" ")
	p.wait("keys('In Progress').join() === %s && document.activeElement.matches('article.card')", k.Key)
	var now ticket
	p.wait("!document.querySelector('.card.lifted')")
	u.call("GET", "/api/tickets/"+k.Key, nil, &now)
	if now.Column != "In Progress" {
		t.Errorf("the server has it in %s", now.Column)
	}
	p.press("?")
	p.wait("find('dialog')[0]?.textContent.includes('Ctrl')")
	p.press(kb.Escape)
	p.wait("!find('dialog')[0]")
	p.press("k", chromedp.ModifierCtrl)
	p.wait("find('option')[0]")
	p.press("flow")
	p.wait("find('option')[0]?.textContent.includes('Flow')")
	p.press(kb.Enter)
	p.wait("location.pathname.endsWith('/flow') && document.querySelector('canvas')")
}

// The card beside the board: what people write is text, whatever they write.
func TestPanel(t *testing.T) {
	t.Parallel()
	s := common(t)
	u := s.register(t, "panel")
	b := u.board(key())
	k := u.ticket(b, "Not Started", "Opens")
	p := s.open(t)
	p.onBoard(u, b)
	p.clickOn(fmt.Sprintf("card('%s').querySelector('.card-title a')", k.Key))
	p.wait("location.pathname.endsWith(%s) && find('tab', 'History')[0]", "/tickets/"+k.Key)
	u.call("POST", "/api/comments", map[string]string{"ticket": k.Key, "text": "**bold** <img src=x onerror=alert(1)> [bad](javascript:alert(1)) ![far](https://far.example/x.png) [good](https://good.example/)"}, nil)
	p.wait("[...document.querySelectorAll('.panel strong')].some((x) => x.textContent === 'bold')")
	if n := eval[int](p, "document.querySelectorAll('.panel img, .panel [onerror], .panel a[href^=\"javascript\"]').length"); n != 0 {
		t.Errorf("%d things of the comment came alive", n)
	}
	if rel := eval[string](p, "document.querySelector('.panel a[href=\"https://good.example/\"]')?.rel ?? ''"); !strings.Contains(rel, "noopener") {
		t.Errorf("a link outside has rel %q", rel)
	}
	u.call("POST", fmt.Sprintf("/api/tickets/%d/move", k.ID), map[string]string{"column": "In Progress"}, nil)
	p.click("tab", "History")
	p.wait("document.querySelector('.panel').textContent.includes('Why it is here') && document.querySelector('.panel').textContent.includes('moved it')")
	p.press(kb.Escape)
	p.wait("!document.querySelector('.panel') && document.activeElement.matches('article.card')")
}

// The board as it was: read only, step by step, and back.
func TestTimeTravel(t *testing.T) {
	t.Parallel()
	s := common(t)
	u := s.register(t, "time")
	b := u.board(key())
	k := u.ticket(b, "Not Started", "Was elsewhere")
	var before struct{ Position int64 }
	u.call("GET", "/api/boards/"+b.Key+"/snapshot", nil, &before)
	for _, to := range []string{"In Progress", "Done"} {
		u.call("POST", fmt.Sprintf("/api/tickets/%d/move", k.ID), map[string]string{"column": to}, nil)
	}
	p := s.open(t)
	p.as(u, fmt.Sprintf("/boards/%s?at=%d", b.Key, before.Position))
	p.wait("document.querySelector('.past-notice').textContent.includes('As of') && document.querySelector('.live.past') && keys('Not Started').join() === %s && !find('button', 'Add a ticket')[0]", k.Key)
	p.drag(fmt.Sprintf("card('%s')", k.Key), "column('Blocked').querySelector('.cards')", 0)
	p.wait("find('slider')[0] || document.querySelector('.time.folded button')")
	if eval[bool](p, "Boolean(document.querySelector('.time.folded button'))") {
		p.clickOn("document.querySelector('.time.folded button')")
	}
	p.clickOn("document.querySelectorAll('.time-keys button')[2]")
	p.wait("keys('In Progress').join() === %s && document.querySelector('.time-said').textContent.includes('moved')", k.Key)
	p.clickOn("document.querySelectorAll('.time-keys button')[0]")
	p.wait("keys('Not Started').join() === %s", k.Key)
	p.clickOn("document.querySelector('.past-back')")
	p.wait("live() && keys('Done').join() === %s && find('button', 'Add a ticket')[0] && !location.search", k.Key)

	p.visit(fmt.Sprintf("/boards/%s/diff?from=%d", b.Key, before.Position))
	p.wait("document.querySelector('.report-says')?.textContent.includes('1 done') && document.querySelector('#done').parentElement.textContent.includes(%s)", k.Key)
	p.wait("document.querySelector('main').textContent.includes(%s)", u.name)
}

// The flow page draws what the server counts.
func TestFlowPage(t *testing.T) {
	t.Parallel()
	s := common(t)
	u := s.register(t, "flow")
	b := u.board(key())
	for i := range 3 {
		k := u.ticket(b, "In Progress", fmt.Sprintf("Flows %d", i))
		if i < 2 {
			u.call("POST", fmt.Sprintf("/api/tickets/%d/move", k.ID), map[string]string{"column": "Done"}, nil)
		}
	}
	p := s.open(t)
	p.as(u, "/boards/"+b.Key+"/flow")
	p.wait("document.querySelectorAll('canvas').length > 2 && [...document.querySelectorAll('canvas')].every((c) => c.getAttribute('aria-label') || c.parentElement.getAttribute('aria-label'))")
	p.wait(`[...document.querySelectorAll('canvas')].every((c) => c.toDataURL() !== Object.assign(document.createElement('canvas'), { width: c.width, height: c.height }).toDataURL())`)
	p.clickOn("find('button', 'Table')[0]")
	p.wait("[...document.querySelectorAll('table td')].some((x) => x.textContent.trim() === '2')")
}

// A pm names columns anew and gives an agent its token, which shows once; the agents'
// page says who holds what, pauses an agent, takes its ticket away, and stops a board.
func TestSettingsAndAgents(t *testing.T) {
	t.Parallel()
	s := common(t)
	u := s.register(t, "settings")
	b := fill(u, key())
	robin := "robin-" + strings.ToLower(b.Key)
	p := s.open(t)
	p.as(u, "/boards/"+b.Key+"/settings")
	p.fill("Name of column 2", "Doing")
	p.wait("find('button', 'Save changes', document.querySelector('#columns'))[0]")
	p.clickOn("find('button', 'Save changes', document.querySelector('#columns'))[0]")
	p.wait("find('toast', 'Saved')[0] && !find('button', 'Save changes')[0]")
	var now board
	u.call("GET", "/api/boards/"+b.Key, nil, &now)
	if now.Columns[1].Name != "Doing" || now.Columns[1].ID != b.Columns[1].ID {
		t.Errorf("the second column is %+v", now.Columns[1])
	}

	p.click("button", "Issue a token for an agent")
	p.fill("Name of the agent", "wren-"+strings.ToLower(b.Key))
	p.click("button", "Issue the token")
	p.wait("document.querySelector('dialog code.secret')")
	secret := eval[string](p, "document.querySelector('dialog code.secret').textContent")
	agent := &user{t: t, s: s, name: u.name, access: secret}
	agent.call("GET", "/api/boards/"+b.Key, nil, &now) // the secret is one that works
	p.press(kb.Escape)                                 // does not lose it
	p.click("button", "I have copied it")
	p.wait("!find('dialog')[0] && document.querySelector('#tokens').textContent.includes(%s) && !document.documentElement.outerHTML.includes(%s)", "wren-"+strings.ToLower(b.Key), secret)

	p.visit("/agents")
	p.wait("document.querySelector('main').textContent.includes(%s) && document.querySelector('main').textContent.includes(%s)", robin, b.ticket(6))
	menu := func(item string) {
		t.Helper()
		p.clickOn(fmt.Sprintf("find('button', %q, document.querySelector('.fleet'))[0]", robin))
		p.click("menuitem", item)
	}
	menu("Pause")
	p.fill("Why", "It deletes tests")
	p.clickOn("find('button', 'Pause', find('dialog')[0])[0]")
	p.wait("find('toast', %s)[0] && document.querySelector('.bot.paused')?.textContent.includes('It deletes tests')", robin+" is paused")
	menu("Release " + b.ticket(6))
	p.clickOn("find('button', 'Release', find('dialog')[0])[0]")
	p.wait("find('toast', %s)[0] && !document.querySelector('.bot.paused .held-list')", b.ticket(6))
	menu("Resume")
	p.wait("!document.querySelector('.bot.paused')")

	p.visit("/agents?board=" + b.Key)
	p.click("button", "Freeze "+b.Key)
	p.clickOn("find('button', 'Freeze', find('dialog')[0])[0]")
	p.click("button", "Unfreeze "+b.Key)
	p.wait("!find('.notice', 'frozen')[0] && find('button', %s)[0]", "Freeze "+b.Key)
}
