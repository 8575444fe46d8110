package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take for anything; a test that passes waits for
// nothing but what it waits for.
const patience = 60 * time.Second

// tab is a page in a browser context of its own: nothing is shared with others, as
// in a private window. Whatever it says on the console, an exception or a violation
// of the Content-Security-Policy fails the test.
type tab struct {
	t   testing.TB
	ctx context.Context
	url string

	mu        sync.Mutex
	complains []string
	expected  []string
}

// open opens a tab on a server. Its window is 1440 by 900 pixels.
func (s *server) open(t testing.TB) *tab {
	t.Helper()
	parent := startBrowser(t)
	ctx, _ := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	p := &tab{t: t, ctx: ctx, url: s.url()}
	t.Cleanup(p.close)
	p.do(chromedp.EmulateViewport(1440, 900))
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	// Many tabs are open at once; each has the focus, as that of a person does.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		document.addEventListener('securitypolicyviolation', (e) => console.error('policy violated:', e.violatedDirective, e.blockedURI, e.sample));`})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *tab) close() {
	if p.t.Failed() {
		if shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot()); err == nil {
			at := filepath.Join(p.t.ArtifactDir(), fmt.Sprintf("%d.png", time.Now().UnixNano()))
			if err := os.WriteFile(at, shot, 0o600); err == nil {
				p.t.Logf("the page at the end (kept by -artifacts): %s", at)
			}
		}
		if text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText")); err == nil {
			p.t.Logf("the page said:\n%.2000s", text)
		}
	}
	if err := chromedp.Cancel(p.ctx); err != nil {
		p.t.Errorf("close the page: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.complains {
		if !slices.ContainsFunc(p.expected, func(part string) bool { return strings.Contains(c, part) }) {
			p.t.Errorf("console: %s", c)
		}
	}
}

// expect allows what contains one of the parts on the console: what the browser
// itself says of a refusal, or of a server that is away.
func (p *tab) expect(parts ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, parts...)
}

func (p *tab) hear(event any) {
	said := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			said = fmt.Sprintf("%s %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			for _, a := range e.Args {
				said += fmt.Sprintf("%s %s ", a.Value, a.Description)
			}
			said = string(e.Type) + " " + said
		}
	case *runtime.EventExceptionThrown:
		said = "uncaught " + e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			said += " " + x.Description
		}
	}
	if said != "" {
		p.mu.Lock()
		p.complains = append(p.complains, said)
		p.mu.Unlock()
	}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if chromedp.FromContext(p.ctx).Target == nil {
		ctx = p.ctx // the life of the page is that of its first context
	}
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// visit opens an address of the server.
func (p *tab) visit(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.url + path))
}

// eval runs an expression in the page, and waits for it where it is a promise.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%v\nin %.300s", err, expression)
	}
	return v
}

// helpers are what the expressions of the tests may use. find returns the visible
// elements of a role with an accessible name that contains name.
const helpers = `
const seen = (el) => el.checkVisibility({ visibilityProperty: true }) && el.getClientRects().length > 0;
const ROLES = {
  button: 'button, [role=button], summary', link: 'a[href]', field: 'input, textarea, select, [role=textbox], [role=combobox]',
  dialog: 'dialog[open], [role=dialog]', menuitem: '[role=menuitem]', card: 'article', column: 'section.column', heading: 'h1, h2, h3',
  toast: '.toast', tab: '[role=tab]', option: '[role=option]', slider: '[role=slider], input[type=range]', checkbox: 'input[type=checkbox]',
};
const nameOf = (el) => el.getAttribute('aria-label') ?? ([...(el.labels ?? [])].map((l) => l.textContent).join(' ') || el.textContent || el.title || el.placeholder || '');
const find = (role, name = '', root = document) => [...root.querySelectorAll(ROLES[role] ?? role)].filter((el) => seen(el) && nameOf(el).includes(name));
const column = (name) => [...document.querySelectorAll('section.column')].find((el) => el.querySelector('h2').textContent === name);
const live = () => document.querySelector('.live')?.className === 'live live';
const card = (key) => [...document.querySelectorAll('article.card')].find((el) => el.querySelector('.key').textContent === key);
const keys = (name) => [...column(name).querySelectorAll('article.card .key')].map((el) => el.textContent);
`

// wait returns when an expression is true in the page. It looks at every frame. Each %s
// in the expression is a value as JSON, or a raw part of it.
func (p *tab) wait(expression string, values ...any) {
	p.t.Helper()
	quoted := make([]any, len(values))
	for i, v := range values {
		if script, ok := v.(raw); ok {
			quoted[i] = string(script)
			continue
		}
		text, err := json.Marshal(v)
		if err != nil {
			p.t.Fatal(err)
		}
		quoted[i] = string(text)
	}
	expression = fmt.Sprintf(expression, quoted...)
	script := fmt.Sprintf(`new Promise((done) => {
		%s
		const end = performance.now() + 2000;
		const look = () => {
			let is = false;
			try { is = Boolean(%s); } catch {}
			if (is || performance.now() > end) { clearInterval(timer); done(is); } else requestAnimationFrame(look);
		};
		const timer = setInterval(look, 250); // a page that is not drawn has no frames
		look();
	})`, helpers, expression)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
		switch {
		case err == nil && is:
			return
		case ctx.Err() != nil:
			p.t.Fatalf("it does not become true: %s", expression)
		case err != nil:
			var e *cdp.Error // a navigation took the page away
			var threw *chromedp.ExceptionError
			if !errors.As(err, &e) || errors.As(err, &threw) {
				p.t.Fatalf("%v\nin %s", err, expression)
			}
		}
	}
}

// place returns the middle of the first element that a script finds, in the window.
func (p *tab) place(script string) (x, y float64) {
	p.t.Helper()
	at := eval[[]float64](p, fmt.Sprintf(`(() => {
		%s
		const el = %s;
		el.scrollIntoView({ block: 'nearest', inline: 'nearest' });
		const r = el.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	})()`, helpers, script))
	return at[0], at[1]
}

// still is true in a page in which nothing is on its way to where it will stay.
const still = raw("document.getAnimations().every((a) => a.playState !== 'running' || a.effect.getComputedTiming().endTime === Infinity)")

// clickOn clicks with the mouse on what a script finds, once it is there and stays there.
func (p *tab) clickOn(script string) {
	p.t.Helper()
	p.wait("%s && %s", raw(script), still)
	x, y := p.place(script)
	p.do(chromedp.MouseClickXY(x, y))
}

// raw is part of an expression as it is.
type raw string

// click clicks on what has a role and a name: a button, a link, a menuitem.
func (p *tab) click(role, name string) {
	p.t.Helper()
	p.clickOn(fmt.Sprintf("find(%q, %q)[0]", role, name))
}

// fill types into the field with a label, in place of what it holds.
func (p *tab) fill(label, text string) {
	p.t.Helper()
	p.clickOn(fmt.Sprintf("find('field', %q)[0]", label))
	eval[chromedp.Void](p, "document.activeElement.select?.()")
	p.press(text)
}

// press presses keys, one after the other.
func (p *tab) press(keys string, modifiers ...chromedp.Modifier) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...)))
}

// drag takes what one script finds to above (-1), onto (0) or below (1) the middle of
// what the other finds, with the browser's own drag events.
func (p *tab) drag(from, to string, side float64) {
	p.t.Helper()
	p.wait("%s && %s", raw(from), raw(to))
	// Both are looked up at once: bringing one into the window may move the other, and
	// so does a card that still glides to its place.
	p.wait("%s", still)
	at := eval[[]float64](p, fmt.Sprintf(`(() => {
		%s
		const both = [%s, %s];
		for (const el of both.toReversed()) el.scrollIntoView({ block: 'nearest', inline: 'nearest', behavior: 'instant' });
		const [from, to] = both.map((el) => el.getBoundingClientRect());
		return [from.x + from.width / 2, from.y + from.height / 2, to.x + to.width / 2, to.y + to.height * (1 / 2 + %g / 3)];
	})()`, helpers, from, to, side))
	p.do(chromedp.DragAndDropXY(at[0], at[1], at[2], at[3]))
}

// dark switches the theme that the system asks for, and what else it asks for.
func (p *tab) dark(yes bool, more ...*emulation.MediaFeature) {
	p.t.Helper()
	value := "light"
	if yes {
		value = "dark"
	}
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: append(more, &emulation.MediaFeature{Name: "prefers-color-scheme", Value: value}),
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// as makes the tab one where somebody is signed in, and opens an address.
func (p *tab) as(u *user, path string) {
	p.t.Helper()
	u.login() // a refresh token works once
	p.visit("/health")
	text, err := json.Marshal(map[string]any{"refresh": u.refresh, "user": u.id})
	if err != nil {
		p.t.Fatal(err)
	}
	eval[chromedp.Void](p, fmt.Sprintf("localStorage.setItem('kanban.session', %q)", text))
	p.visit(path)
}

// onBoard opens a board, and returns when it is drawn and live.
func (p *tab) onBoard(u *user, b board) {
	p.t.Helper()
	p.as(u, "/boards/"+b.Key)
	p.wait("live() && document.querySelectorAll('section.column').length === %s", len(b.Columns))
}

// nameOf a test's own board: keys are unique on a server.
var letters = struct {
	sync.Mutex
	n int
}{}

// key returns a key for a board that no other test has.
func key() string {
	letters.Lock()
	defer letters.Unlock()
	letters.n++
	return fmt.Sprintf("T%c%c", 'A'+letters.n/26, 'A'+letters.n%26)
}
