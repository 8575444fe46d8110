package http

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// mcpRoutes mounts the MCP server, if there is one. Its tools call the API with
// the caller's own credential, which is checked there.
func (s *Server) mcpRoutes() {
	if s.deps.MCP == nil {
		return
	}
	handler := s.deps.MCP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }))
	serve := func(g *gin.Context) {
		// A tool may wait inside of the API, which does not see this connection.
		s.allowWait(callOf(g.Request.Context()), maxWait*time.Second)
		handler.ServeHTTP(g.Writer, g.Request)
	}
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		s.engine.Handle(method, "/mcp", serve)
	}
	// RFC 9728: where a client learns how to get a credential.
	for _, path := range []string{"", "/mcp"} {
		s.engine.GET("/.well-known/oauth-protected-resource"+path, serve)
	}
}
