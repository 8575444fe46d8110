package http

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/agent-kanban/agent-kanban/http/ui"
)

//go:embed docs/index.html docs/start.js docs/docs.css docs/swagger
var embedded embed.FS

// docsPolicy lets the docs page use this server's own files and nothing else. The
// data images are the icons in Swagger UI's style sheet.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// boardPages are the addresses that the web board draws itself.
var boardPages = []string{"/", "/setup", "/signin", "/register", "/boards", "/boards/*rest", "/agents", "/account"}

// staticRoutes serves the web board and the docs page.
func (s *Server) staticRoutes() error {
	site, err := ui.New()
	if err != nil {
		return err
	}
	s.page = s.static(site.Page.Plain, site.Page.Media, ui.Policy)
	for _, at := range boardPages {
		s.engine.GET(at, s.page)
	}
	s.engine.GET(ui.Prefix+"*file", s.uiFile(site))

	pages := map[string]string{"/docs": "docs/index.html", "/docs/start.js": "docs/start.js", "/docs/docs.css": "docs/docs.css"}
	files, err := fs.ReadDir(embedded, "docs/swagger")
	if err != nil {
		return err
	}
	for _, f := range files {
		pages["/docs/"+f.Name()] = "docs/swagger/" + f.Name()
	}
	for route, file := range pages {
		text, err := embedded.ReadFile(file)
		if err != nil {
			return err
		}
		media := mime.TypeByExtension(path.Ext(file))
		if media == "" {
			media = "text/plain; charset=utf-8"
		}
		s.engine.GET(route, s.static(text, media, docsPolicy))
	}
	var once sync.Once
	var document gin.HandlerFunc
	s.engine.GET("/openapi.json", func(g *gin.Context) {
		once.Do(func() { // after every route has been added
			text, err := s.api.OpenAPI().MarshalJSON()
			if err != nil {
				panic(err)
			}
			document = s.static(text, "application/openapi+json", docsPolicy)
		})
		document(g)
	})
	return nil
}

// static serves a text that may be another after an upgrade: browsers ask again.
func (s *Server) static(text []byte, media, policy string) gin.HandlerFunc {
	sum := sha256.Sum256(text)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	csp := []string{policy}
	return func(g *gin.Context) {
		h := g.Writer.Header()
		h["Content-Security-Policy"] = csp
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", tag)
		if matches(g.Request.Header.Get("If-None-Match"), tag) {
			g.Writer.WriteHeader(http.StatusNotModified)
			g.Writer.WriteHeaderNow()
			return
		}
		s.sendBytes(callOf(g.Request.Context()), http.StatusOK, media, text)
	}
}

// uiFile serves the files of the web board, whose addresses change with what is
// in them.
func (s *Server) uiFile(site *ui.Site) gin.HandlerFunc {
	return func(g *gin.Context) {
		f, ok := site.File(g.Request.URL.Path)
		if !ok {
			s.noRoute(g)
			return
		}
		h := g.Writer.Header()
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Content-Type", f.Media)
		h.Set("Vary", "Accept-Encoding")
		body := f.Plain
		switch c := negotiate(g.Request.Header.Get("Accept-Encoding")); c {
		case zstandard:
			body = f.Zstd()
			h.Set("Content-Encoding", c.String())
		case gzipped:
			body = f.Gzip()
			h.Set("Content-Encoding", c.String())
		case identity:
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		g.Writer.WriteHeader(http.StatusOK)
		_, _ = g.Writer.Write(body) // a browser that went away wants nothing
	}
}
