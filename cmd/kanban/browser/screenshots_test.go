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
	s := newServer(t)
	u := s.register(t, "ada")
	b := fill(u, "WEB")
	for _, view := range []struct {
		name          string
		dark          bool
		width, height int64
	}{{"light", false, 1440, 900}, {"dark", true, 1440, 900}, {"phone", false, 390, 844}} {
		p := s.open(t)
		p.do(chromedp.EmulateViewport(view.width, view.height))
		value := "light"
		if view.dark {
			value = "dark"
		}
		if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: value}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}); err != nil {
			t.Fatal(err)
		}
		for _, l := range looks(b) {
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
