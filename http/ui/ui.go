// Package ui is the web board: the page, its modules and styles, embedded, and
// ready to be sent. Every file has an address under the sum of them all, so that
// a browser may keep it for ever; only the page itself, which names the sum, is
// asked for again. There is no build step: the modules are served as they are
// written.
//
// It imports nothing of ours.
//
//	site, err := ui.New()
//	page := site.Page                 // for every address that a person opens
//	file, ok := site.File("/ui/3f…/app.js")
package ui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"path"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

//go:embed static
var static embed.FS

// Prefix is where the files are; what follows is the sum, then a file's path.
const Prefix = "/ui/"

// Policy is the Content-Security-Policy of the page: this server's own files and
// nothing else, no inline script or style, no markup made from text but what
// DOMPurify returns.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types dompurify"

// File is one file in each form that it is sent in. It is compressed when it is
// first asked for in that form: a start need not wait for it.
type File struct {
	Media string // with its charset
	Plain []byte
	Gzip  func() []byte
	Zstd  func() []byte
}

// Site is the web board of one build.
type Site struct {
	// Page is the one HTML page, in which app.js draws what the address names.
	Page File
	// Sum identifies the build.
	Sum string

	files map[string]File
}

// New returns the site, which is one and the same for all. It fails only where the
// program was built from broken files.
func New() (*Site, error) { return built() }

var built = sync.OnceValues(build)

func build() (*Site, error) {
	names, err := names()
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	texts := make(map[string][]byte, len(names))
	for _, name := range names {
		text, err := static.ReadFile("static/" + name)
		if err != nil {
			return nil, fmt.Errorf("web board: %w", err)
		}
		texts[name] = text
		fmt.Fprintf(sum, "%s %d\n", name, len(text))
		sum.Write(text)
	}
	s := &Site{Sum: hex.EncodeToString(sum.Sum(nil)[:8]), files: make(map[string]File, len(names))}
	for _, name := range names {
		if name == "index.html" {
			continue
		}
		s.files[s.address(name)] = file(name, texts[name])
	}
	page, err := s.page(texts["index.html"], names)
	if err != nil {
		return nil, err
	}
	s.Page = file("index.html", page)
	return s, nil
}

// File returns what is at a path that begins with Prefix.
func (s *Site) File(at string) (File, bool) {
	f, ok := s.files[at]
	return f, ok
}

func (s *Site) address(name string) string { return Prefix + s.Sum + "/" + name }

// later reports whether a file waits until something needs it.
func later(name string) bool {
	switch {
	case strings.HasPrefix(name, "later/"), name == "vendor/chart.js", name == "vendor/markdown.js":
		return true
	default:
		return path.Ext(name) != ".js" && path.Ext(name) != ".css"
	}
}

// page fills the template in. Naming every module of the first load spares the
// browser from finding them one import after the other.
func (s *Site) page(text []byte, names []string) ([]byte, error) {
	t, err := template.New("index.html").Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("web board: %w", err)
	}
	var data struct {
		Base            string
		Styles, Modules []string
	}
	data.Base = s.address("")
	for _, name := range names {
		switch {
		case later(name):
		case path.Ext(name) == ".css":
			data.Styles = append(data.Styles, name)
		case path.Ext(name) == ".js":
			data.Modules = append(data.Modules, name)
		}
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("web board: %w", err)
	}
	return b.Bytes(), nil
}

func names() ([]string, error) {
	var list []string
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, strings.TrimPrefix(name, "static/"))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("web board: %w", err)
	}
	return list, nil
}

func file(name string, text []byte) File {
	return File{
		Media: media(name), Plain: text,
		Gzip: sync.OnceValue(func() []byte { return gzipped(text) }),
		Zstd: sync.OnceValue(func() []byte { return zstandard(text) }),
	}
}

func gzipped(text []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	_, _ = z.Write(text) // into memory
	_ = z.Close()
	return b.Bytes()
}

func zstandard(text []byte) []byte {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		panic(err) // the options are constants
	}
	defer e.Close()
	return e.EncodeAll(text, nil)
}

// media does not ask the machine, whose tables differ.
func media(name string) string {
	switch ext := path.Ext(name); ext {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".html":
		return "text/html; charset=utf-8"
	case ".webmanifest":
		return "application/manifest+json"
	default:
		return mime.TypeByExtension(ext)
	}
}
