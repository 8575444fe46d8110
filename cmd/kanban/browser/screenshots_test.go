package browser

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestScreenshots draws every page into the folder that KANBAN_SCREENSHOTS names, light,
// dark and on a phone (make screenshots).
func TestScreenshots(t *testing.T) {
	out := os.Getenv("KANBAN_SCREENSHOTS")
	if out == "" {
		t.Skip("make screenshots draws the pages")
	}
	s := idle(t)
	u := s.past(t, "mia")
	s.begin(t)
	u.login()
	var boards struct{ Items []board }
	u.call("GET", "/api/boards", nil, &boards)
	var b board
	u.call("GET", "/api/boards/"+boards.Items[0].Key, nil, &b)
	b = furnish(u, b)
	fresh := newServer(t)
	for _, view := range []struct {
		name          string
		dark          bool
		width, height int64
	}{{"light", false, 1440, 900}, {"dark", true, 1440, 900}, {"phone", false, 390, 844}} {
		draw := func(s *server) *tab {
			p := s.open(t)
			p.do(chromedp.EmulateViewport(view.width, view.height))
			p.dark(view.dark, &emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"})
			return p
		}
		p, q := draw(s), draw(fresh)
		for _, l := range looks(b) {
			p := p
			if l.fresh {
				p = q
			}
			l.at(p, u)
			shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(out, l.name+"-"+view.name+".png"), shot, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
