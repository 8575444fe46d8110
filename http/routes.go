package http

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// routes builds the router and everything on it.
func (s *Server) routes() error {
	humaHooks()
	ginRelease()
	s.engine = gin.New()
	s.engine.RedirectTrailingSlash = false // normalise serves both forms
	s.engine.RedirectFixedPath = false
	s.engine.HandleMethodNotAllowed = true
	// Without a proxy that is trusted, a forged X-Forwarded-For would defeat
	// every limit per address.
	if err := s.engine.SetTrustedProxies(s.cfg.TrustedProxies); err != nil {
		return err
	}
	s.engine.Use(s.begin)
	if allow := s.cors(); allow != nil {
		s.engine.Use(allow)
	}
	if s.cfg.Requests != nil {
		s.engine.Use(s.limitRequests)
	}
	s.engine.NoRoute(s.noRoute)
	s.engine.NoMethod(s.noMethod)

	cfg := huma.DefaultConfig("Agent Kanban", s.cfg.Version)
	cfg.CreateHooks = nil // no $schema in replies
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	cfg.Formats = formats()
	cfg.Info.Description = "Boards for people and agents, as a log of events. Refusals are application/problem+json with a stable code."
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "An access token from /api/auth/login, or an API token (akb_…)"},
	}
	s.api = humagin.New(s.engine, cfg)
	schemas := s.api.OpenAPI().Components.Schemas
	schemas.RegisterTypeAlias(reflect.TypeFor[commands.Ref](), reflect.TypeFor[refSchema]())
	schemas.RegisterTypeAlias(reflect.TypeFor[events.Envelope](), reflect.TypeFor[envelopeSchema]())
	schemas.RegisterTypeAlias(reflect.TypeFor[events.Hash](), reflect.TypeFor[string]())
	schemas.RegisterTypeAlias(reflect.TypeFor[optionalName](), reflect.TypeFor[*string]())
	schemas.RegisterTypeAlias(reflect.TypeFor[optionalTime](), reflect.TypeFor[nullableTime]())

	s.healthRoutes()
	s.metricsRoute()
	s.alertRoutes()
	s.accountRoutes()
	s.boardRoutes()
	s.timeRoutes()
	s.pulseRoute()
	s.ticketRoutes()
	s.claimRoutes()
	s.acceptanceRoutes()
	s.agentRoutes()
	s.bulkRoutes()
	s.commentRoutes()
	s.historyRoutes()
	s.statisticsRoutes()
	s.commandRoutes()
	s.undoRoutes()
	s.webhookRoutes()
	s.logRoutes()
	s.redactionRoutes()
	s.liveRoutes()
	s.mcpRoutes()
	if err := s.staticRoutes(); err != nil {
		return err
	}
	s.handler = s.normalise(s.engine)
	return nil
}
