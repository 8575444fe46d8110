package http

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"sync"

	"github.com/gin-gonic/gin"
)

//go:embed docs/index.html docs/start.js docs/swagger pages
var embedded embed.FS

// pagePolicy lets a page use this server's own files and nothing else. The data
// images are the icons in Swagger UI's style sheet.
var pagePolicy = []string{"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"}

// staticRoutes serves the docs page and the first pages of the browser.
func (s *Server) staticRoutes() error {
	pages := map[string]string{"/": "pages/index.html", "/setup": "pages/setup.html", "/docs": "docs/index.html", "/docs/start.js": "docs/start.js"}
	for prefix, dir := range map[string]string{"/docs/": "docs/swagger", "/pages/": "pages"} {
		files, err := fs.ReadDir(embedded, dir)
		if err != nil {
			return err
		}
		for _, f := range files {
			if path.Ext(f.Name()) != ".html" {
				pages[prefix+f.Name()] = dir + "/" + f.Name()
			}
		}
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
		s.engine.GET(route, s.static(text, media))
	}
	var once sync.Once
	var document gin.HandlerFunc
	s.engine.GET("/openapi.json", func(g *gin.Context) {
		once.Do(func() { // after every route has been added
			text, err := s.api.OpenAPI().MarshalJSON()
			if err != nil {
				panic(err)
			}
			document = s.static(text, "application/openapi+json")
		})
		document(g)
	})
	return nil
}

func (s *Server) static(text []byte, media string) gin.HandlerFunc {
	sum := sha256.Sum256(text)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	return func(g *gin.Context) {
		h := g.Writer.Header()
		h["Content-Security-Policy"] = pagePolicy
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
