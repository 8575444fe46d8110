package browser

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// From the address that the server prints to a first board with a sample, out again,
// and in.
func TestSetupAndSignIn(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := newServer(t)
	if !strings.HasPrefix(s.setup, s.url()+"/setup#token=") {
		t.Fatalf("the server printed %q as its setup address", s.setup)
	}
	p := s.open(t)
	p.do(chromedp.Navigate(s.setup))
	p.wait("find('field', 'Setup token')[0].value.length > 20 && location.hash === ''")
	p.fill("User name", "ada")
	p.fill("Password", password)
	p.click("button", "Make the account")

	p.wait("find('heading', 'No boards yet')[0]")
	p.click("button", "New board")
	p.wait("find('dialog', 'New board')[0]?.contains(document.activeElement)")
	p.fill("Name", "Website")
	p.fill("Key", "web")
	p.click("button", "Make the board")
	p.wait("location.pathname === '/boards/WEB' && keys('Done').length === 1 && document.title.startsWith('Website')")
	p.wait("card('WEB-4').textContent.includes('Blocked')") // the sample waits for another ticket

	p.click("button", "Account of ada")
	p.click("menuitem", "Sign out")
	p.wait("location.pathname === '/signin' && find('button', 'Sign in')[0]")
	if left := eval[string](p, "JSON.stringify(localStorage)"); strings.Contains(left, "refresh") {
		t.Errorf("after sign-out the browser still has %s", left)
	}

	// A page that needs somebody asks who, says so when the password is wrong, and
	// goes on to where one wanted to go.
	p.expect("status of 401")
	p.visit("/boards/WEB")
	p.fill("User name", "ada")
	p.fill("Password", "not this one")
	p.click("button", "Sign in")
	p.wait("document.querySelector('form [role=alert]')")
	p.fill("Password", password)
	p.click("button", "Sign in")
	p.wait("location.pathname === '/boards/WEB' && card('WEB-1')")
}

// Tickets are added one after the other, without a dialog.
func TestAddCards(t *testing.T) {
	t.Parallel()
	s := common(t)
	u := s.register(t, "add-cards")
	b := u.board(key())
	p := s.open(t)
	p.onBoard(u, b)
	p.clickOn("find('button', 'Add a ticket', column('Not Started'))[0]")
	p.wait("document.activeElement.tagName === 'TEXTAREA'")
	p.press("First\r")
	p.wait("keys('Not Started').length === 1 && document.activeElement.value === ''")
	p.press("Second\r")
	p.wait("keys('Not Started').join() === %s", b.Key+"-1,"+b.Key+"-2")
	p.wait("card(%s).textContent.includes('Second') && find('toast', 'was added to Not Started').length > 0", b.Key+"-2")
	p.press("\x1b")
	p.wait("find('button', 'Add a ticket', column('Not Started'))[0]")

	// Undo is one click away.
	p.clickOn("find('button', 'Undo', find('toast', '" + b.Key + "-2')[0])[0]")
	p.wait("keys('Not Started').join() === %s", b.Key+"-1")
}

// Cards are dragged with the browser's own drag events: into another column, and to a
// place in it; the server has them where the page shows them.
func TestDrag(t *testing.T) {
	t.Parallel()
	s := common(t)
	u := s.register(t, "drag")
	b := u.board(key())
	for _, title := range []string{"One", "Two", "Three"} {
		u.ticket(b, "Not Started", title)
	}
	p := s.open(t)
	p.onBoard(u, b)
	of := func(n int) string { return fmt.Sprintf("card('%s-%d')", b.Key, n) }
	p.drag(of(2), "column('In Progress').querySelector('.cards')", 0)
	p.wait("keys('In Progress').join() === %s && keys('Not Started').join() === %s", b.Key+"-2", b.Key+"-1,"+b.Key+"-3")
	p.wait("find('toast', 'is in In Progress').length > 0")
	p.drag(of(3), of(1), -1)
	p.wait("keys('Not Started').join() === %s", b.Key+"-3,"+b.Key+"-1")
	p.drag(of(1), of(2), 1)
	p.wait("keys('In Progress').join() === %s", b.Key+"-2,"+b.Key+"-1")
	p.wait("find('toast', %s).length > 0", b.Key+"-1 is in In Progress") // the server has answered
	p.visit("/boards/" + b.Key)
	p.wait("keys('In Progress').join() === %s && keys('Not Started').join() === %s", b.Key+"-2,"+b.Key+"-1", b.Key+"-3")
}

// What the server refuses goes back to where it was, with the reason and a way out.
func TestRefusedAtLimit(t *testing.T) {
	t.Parallel()
	s := common(t)
	u := s.register(t, "refused")
	b := u.board(key())
	u.limit(b, "In Progress", 1)
	u.ticket(b, b.Columns[1].Name, "There first")
	k := u.ticket(b, b.Columns[0].Name, "One too many")
	p := s.open(t)
	p.expect("status of 409", "status of 422")
	p.onBoard(u, b)
	p.wait("column(%s).textContent.includes('1/1')", b.Columns[1].Name)
	p.drag(fmt.Sprintf("card('%s')", k.Key), fmt.Sprintf("column('%s').querySelector('.cards')", b.Columns[1].Name), 0)
	p.wait("find('toast', %s)[0]?.textContent.includes('limit')", k.Key+" stays in "+b.Columns[0].Name)
	p.wait("keys(%s).join() === %s && keys(%s).length === 1", b.Columns[0].Name, k.Key, b.Columns[1].Name)

	p.clickOn("find('button', 'Move it anyway')[0]")
	p.wait("keys(%s).length === 2 && column(%s).querySelector('.count.over')?.textContent.includes('2/1')", b.Columns[1].Name, b.Columns[1].Name)
}

// What one does another sees, without a reload: both pages fold the same events.
func TestTwoBrowsers(t *testing.T) {
	t.Parallel()
	s := common(t)
	u, other := s.register(t, "two-a"), s.register(t, "two-b")
	b := u.board(key())
	u.call("POST", fmt.Sprintf("/api/boards/%d/members", b.ID), map[string]string{"user": other.name, "role": "pm"}, nil)
	k := u.ticket(b, "Not Started", "Seen by two")
	p, q := s.open(t), s.open(t)
	p.onBoard(u, b)
	q.onBoard(other, b)
	eval[chromedp.Void](q, fmt.Sprintf(`(() => {
		%s
		globalThis.stayed = true;
		globalThis.seen = new Promise((done) => {
			const look = () => (keys('In Progress').length && card(%q)?.querySelector('.moved-by')?.textContent === %q ? done(performance.now()) : requestAnimationFrame(look));
			look();
		});
	})()`, helpers, k.Key, u.name))
	p.drag(fmt.Sprintf("card('%s')", k.Key), "column('In Progress').querySelector('.cards')", 0)
	took := eval[float64](q, "(async (begin) => (await globalThis.seen) - begin)(performance.now())")
	if took > 1000 {
		t.Errorf("it took %.0f ms until the other page showed the move, and whose it was", took)
	}
	q.wait("keys('In Progress').join() === %s", k.Key)
	q.drag(fmt.Sprintf("card('%s')", k.Key), "column('Done').querySelector('.cards')", 0)
	p.wait("keys('Done').join() === %s", k.Key)
	if !eval[bool](q, "globalThis.stayed === true") {
		t.Error("the page was loaded again")
	}
}

// A server that was stopped and started again is found again, and tells what happened
// while the page was without it. What was done meanwhile is sent, in order.
func TestResumeAndOfflineQueue(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := newServer(t)
	u := s.register(t, "ada")
	b := u.board("WEB")
	for _, title := range []string{"One", "Two", "Three"} {
		u.ticket(b, "Not Started", title)
	}
	p := s.open(t)
	p.expect("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "WebSocket connection to", "status of 503", "ERR_INCOMPLETE_CHUNKED_ENCODING")
	p.onBoard(u, b)
	eval[chromedp.Void](p, "globalThis.stayed = true")
	s.end()
	p.wait("!live()")
	p.drag("card('WEB-1')", "column('In Progress').querySelector('.cards')", 0)
	p.drag("card('WEB-1')", "column('Done').querySelector('.cards')", 0)
	p.wait("keys('Done').join() === 'WEB-1' && find('.notice', 'No connection since')[0]?.textContent.includes('changes wait')")

	s.begin(t)
	u.login()
	u.ticket(b, "Blocked", "Meanwhile")
	p.wait("live() && keys('Blocked').join() === 'WEB-4'")
	p.wait("keys('Done').join() === 'WEB-1' && !find('.notice', 'No connection')[0] && find('toast', 'WEB-1 is in Done').length > 0")
	if !eval[bool](p, "globalThis.stayed === true") {
		t.Error("the page was loaded again")
	}
	var stays struct {
		Items []struct {
			To string `json:"to_column"`
		} `json:"items"`
	}
	u.call("GET", "/api/history/tickets/WEB-1/transitions", nil, &stays)
	var columns []string
	for _, stay := range stays.Items {
		columns = append(columns, stay.To)
	}
	if got := strings.Join(columns, ", "); got != "Not Started, In Progress, Done" {
		t.Errorf("the server had WEB-1 in %s", got)
	}
}

// A board that one may not see and one that is not there look the same, and say what
// can be done.
func TestNoAccess(t *testing.T) {
	t.Parallel()
	s := common(t)
	u, stranger := s.register(t, "access-a"), s.register(t, "access-b")
	b := u.board(key())
	p := s.open(t)
	p.expect("status of 404")
	for _, at := range []string{"/boards/" + b.Key, "/boards/NONE"} {
		p.as(stranger, at)
		p.wait("find('heading', 'No access')[0] && document.body.innerText.includes(%s)", stranger.name)
	}
	p.visit("/nowhere/at/all")
	p.as(stranger, "/boards/"+b.Key+"/nothing/here")
	p.wait("find('heading', 'Not found')[0]")
	p.click("link", "To the boards")
	p.wait("location.pathname === '/boards' && find('heading', 'Boards')[0]")
}

// On a phone nothing is wider than the screen, and what can be pressed is as large as
// a finger.
func TestPhone(t *testing.T) {
	t.Parallel()
	s := common(t)
	u := s.register(t, "phone")
	b := u.board(key())
	u.ticket(b, "Not Started", "A title that is long enough to need two lines, and-one-word-that-does-not-break-anywhere-at-all")
	p := s.open(t)
	p.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch))
	for _, at := range []string{"/boards", "/boards/" + b.Key} {
		p.as(u, at)
		p.wait("find('heading')[0] || card(%s)", b.Key+"-1")
		if w := eval[float64](p, "document.documentElement.scrollWidth"); w > 390 {
			t.Errorf("%s is %.0f pixels wide", at, w)
		}
		small := eval[[]string](p, `[...document.querySelectorAll('button, .card a, input, select, a.button')].filter((el) => el.checkVisibility() && !el.closest('p'))
			.map((el) => [el, el.getBoundingClientRect()]).filter(([el, r]) => r.width > 1 && (Math.max(r.height, el.closest('article, label')?.getBoundingClientRect().height ?? 0) < 40)).map(([el, r]) => el.outerHTML.slice(0, 80) + ' ' + r.width + '×' + r.height)`)
		if len(small) > 0 {
			t.Errorf("%s has targets smaller than a finger: %s", at, strings.Join(small, "; "))
		}
	}
	// The columns swipe, each nearly as wide as the screen.
	if w := eval[float64](p, "document.querySelector('section.column').offsetWidth"); w < 300 || w > 390 {
		t.Errorf("a column is %.0f pixels wide", w)
	}
}

// The theme is the system's until somebody chooses one; the choice stays.
func TestThemes(t *testing.T) {
	t.Parallel()
	s := common(t)
	u := s.register(t, "themes")
	b := u.board(key())
	p := s.open(t)
	p.dark(true)
	p.onBoard(u, b)
	const light = `(() => {
		const at = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
		at.fillStyle = [document.body, document.documentElement].map((el) => getComputedStyle(el).backgroundColor).find((c) => c !== 'rgba(0, 0, 0, 0)');
		at.fillRect(0, 0, 1, 1);
		const [r, g, b] = at.getImageData(0, 0, 1, 1).data;
		return (r + g + b) / 3;
	})()`
	if l := eval[float64](p, light); l > 80 {
		t.Errorf("the dark page has a background of lightness %.0f", l)
	}
	p.click("button", "Theme: as the system")
	p.click("button", "Theme: light")
	p.wait("find('button', 'Theme: dark')[0]")
	p.dark(false)
	p.visit("/boards/" + b.Key)
	p.wait("live()")
	if l := eval[float64](p, light); l > 80 {
		t.Errorf("after a reload the chosen dark page has a background of lightness %.0f", l)
	}
	p.click("button", "Theme: dark")
	p.wait("find('button', 'Theme: as the system')[0]")
	if l := eval[float64](p, light); l < 200 {
		t.Errorf("the light page has a background of lightness %.0f", l)
	}
}

// The first load is at most 150 KB over the network, up to the drawn board; what it
// loads may be kept for ever, the page itself is asked for again.
func TestFirstLoad(t *testing.T) {
	t.Parallel()
	s := common(t)
	u := s.register(t, "first-load")
	b := u.board(key())
	u.ticket(b, "Not Started", "A ticket")
	p := s.open(t)
	p.as(u, "/health")
	if _, err := chromedp.Call(p.ctx, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	total, files, urls := 0.0, map[string]float64{}, map[network.RequestID]string{}
	err := chromedp.Listen(p.ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventResponseReceived:
			urls[e.RequestID] = e.Response.URL
		case *network.EventLoadingFinished:
			total += e.EncodedDataLength
			files[urls[e.RequestID]] += e.EncodedDataLength
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p.visit("/boards/" + b.Key)
	p.wait("card(%s) && live()", b.Key+"-1")
	mu.Lock()
	t.Logf("the first load is %.1f KB in %d requests", total/1000, len(files))
	if total > 150_000 {
		t.Errorf("the first load is %.0f bytes, more than 150 KB: %v", total, files)
	}
	asset := regexp.MustCompile(`/ui/[0-9a-f]{16}/`)
	var assets []string
	for at := range files {
		if asset.MatchString(at) {
			assets = append(assets, at)
		}
		if !strings.HasPrefix(at, s.url()) && !strings.HasPrefix(at, "data:") {
			t.Errorf("the page asked %s", at)
		}
	}
	mu.Unlock()
	if len(assets) < 10 {
		t.Errorf("there are %d files with addresses by their content", len(assets))
	}
	cacheControl := func(at string) string {
		res, err := client.Get(at)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", at, res.Status)
		}
		return res.Header.Get("Cache-Control")
	}
	for _, at := range assets {
		if c := cacheControl(at); !strings.Contains(c, "immutable") || !strings.Contains(c, "max-age=31536000") {
			t.Errorf("%s: Cache-Control is %q", at, c)
		}
	}
	if c := cacheControl(s.url() + "/boards/" + b.Key); c != "no-cache" {
		t.Errorf("the page: Cache-Control is %q", c)
	}
}
