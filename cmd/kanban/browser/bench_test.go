package browser

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

const cards = 5000

// watch notes in the page when the snapshot came, when a card was first painted, when
// the last frame of the live feed came, and tasks that took longer than 50 ms.
const watch = `(() => {
	const painted = (then) => requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = () => then(performance.now()); c.port2.postMessage(0); });
	globalThis.noted = { longest: 0, painted };
	new PerformanceObserver((list) => { for (const e of list.getEntries()) noted.longest = Math.max(noted.longest, e.duration); }).observe({ type: 'longtask', buffered: false });
	const Plain = WebSocket;
	globalThis.WebSocket = class extends Plain {
		constructor(...a) { super(...a); this.addEventListener('message', () => { noted.frame = performance.now(); }); }
	};
	const first = new MutationObserver(() => {
		if (!document.querySelector('article.card')) return;
		first.disconnect();
		painted((at) => { noted.first = at; });
	});
	first.observe(document, { childList: true, subtree: true });
})()`

// BenchmarkBoard draws a board of 5,000 cards: from the snapshot's arrival to the
// first painted cards, a change by somebody else from the frame of the WebSocket to
// the frame in which it is drawn, and the longest task while scrolling and dragging.
func BenchmarkBoard(b *testing.B) {
	s := common(b)
	u := s.register(b, "bench")
	board := u.board(key())
	for n := 0; n < cards; n += 100 {
		var list []map[string]any
		for i := n; i < n+100; i++ {
			list = append(list, map[string]any{"type": "create_ticket", "data": map[string]any{
				"board": board.Key, "title": fmt.Sprintf("Ticket %d: what has to be done, in a line or two of text", i), "column": board.Columns[i%len(board.Columns)].Name,
				"labels": []string{"api", "web"}[:i%3], "priority": []string{"low", "medium", "high", "urgent"}[i%4], "description": "Some words about it.",
			}})
		}
		u.call("POST", "/api/commands", list, nil)
	}
	var first, remote, scroll, drag []float64
	for b.Loop() {
		b.StopTimer()
		p := s.open(b)
		if _, err := chromedp.Call(p.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watch}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		p.onBoard(u, board)
		p.wait("noted.first && performance.getEntriesByType('resource').some((e) => e.name.endsWith('/snapshot'))")
		first = append(first, eval[float64](p, "noted.first - performance.getEntriesByType('resource').find((e) => e.name.endsWith('/snapshot')).responseEnd"))

		// Titles of cards in sight are changed, by the API.
		for i := range 20 {
			title := fmt.Sprintf("Changed %d", i)
			id := eval[int64](p, fmt.Sprintf("Number(document.querySelectorAll('article.card')[%d].dataset.ticket)", i%10))
			eval[chromedp.Void](p, fmt.Sprintf(`noted.change = new Promise((done) => {
				const wait = new MutationObserver(() => {
					if (!document.querySelector('article.card[data-ticket="%d"]').textContent.includes(%q)) return;
					wait.disconnect();
					noted.painted((at) => done(at - noted.frame));
				});
				wait.observe(document.getElementById('content'), { childList: true, subtree: true, characterData: true });
			}), undefined`, id, title))
			u.call("PATCH", fmt.Sprintf("/api/tickets/%d", id), map[string]string{"title": title}, nil)
			remote = append(remote, eval[float64](p, "noted.change"))
		}

		eval[chromedp.Void](p, "noted.longest = 0")
		x, y := p.place("document.querySelectorAll('section.column')[1]")
		for i := range 60 {
			dy := 700.0
			if i >= 40 {
				dy = -700
			}
			if _, err := chromedp.Call(p.ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseWheel, X: x, Y: y, DeltaX: 0.01, DeltaY: dy}); err != nil {
				b.Fatal(err)
			}
			eval[float64](p, "new Promise(noted.painted)")
		}
		if top := eval[float64](p, "document.querySelectorAll('.cards')[1].scrollTop"); top < 3000 {
			b.Errorf("the column was scrolled by %.0f pixels", top)
		}
		scroll = append(scroll, eval[float64](p, "noted.longest"))

		eval[chromedp.Void](p, "noted.longest = 0")
		const count = "Number(document.querySelectorAll('section.column')[1].querySelector('.count').textContent.replace(/\\D/g, ''))"
		before := eval[int](p, count)
		dx, dy := p.place("document.querySelectorAll('section.column')[0].querySelectorAll('article.card')[1]")
		p.do(chromedp.DragAndDropXY(dx, dy, x, y, 40))
		p.wait("%s === %s", raw(count), before+1)
		drag = append(drag, eval[float64](p, "noted.longest"))
		b.StopTimer()
		p.close()
		b.StartTimer()
	}
	for _, m := range []struct {
		name  string
		got   float64
		limit float64
	}{
		{"first-board-ms", slices.Max(first), 1000},
		{"remote-p50-ms", median(remote), 50},
		{"remote-max-ms", slices.Max(remote), 0},
		{"scroll-longest-ms", slices.Max(scroll), 100},
		{"drag-longest-ms", slices.Max(drag), 100},
	} {
		b.ReportMetric(m.got, m.name)
		if m.limit > 0 && m.got > m.limit {
			b.Errorf("%s is %.0f, more than %.0f", m.name, m.got, m.limit)
		}
	}
	b.ReportMetric(0, "ns/op")
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}
