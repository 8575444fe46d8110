// Package browser has the tests of the web board: they run the program as it is
// built, and drive it with Chromium as a person does. Where there is no Chromium
// they skip.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// program is the kanban that the tests run.
var program string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kanban-browser")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "kanban")
	defer func() {
		if browser.started {
			if err := chromedp.Cancel(browser.ctx); err != nil {
				fmt.Fprintln(os.Stderr, "close the browser:", err)
			}
		}
		if shared.server != nil {
			shared.server.end()
		}
	}()
	return m.Run()
}

// built builds the program, once.
var built = sync.OnceValue(func() error {
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", program, "..").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
})

// browser is the one process that all tests share, each in a context of its own.
var browser struct {
	sync.Mutex
	started bool
	ctx     context.Context
}

// chromium finds the browser, and skips the test where there is none.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if at, err := exec.LookPath(name); err == nil {
			return at
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("there is no Chromium here")
	}
	t.Skip("there is no Chromium here")
	return ""
}

// startBrowser returns the context of the shared process.
func startBrowser(t testing.TB) context.Context {
	t.Helper()
	at := chromium(t)
	browser.Lock()
	defer browser.Unlock()
	if !browser.started {
		ctx, _ := chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(
			chromedp.ExecPath(at), chromedp.NoSandbox, chromedp.WindowSize(1440, 900), chromedp.Flag("lang", "en"),
		))
		if err := chromedp.Do(ctx); err != nil {
			t.Fatalf("start Chromium: %v", err)
		}
		browser.ctx, browser.started = ctx, true
	}
	return browser.ctx
}
