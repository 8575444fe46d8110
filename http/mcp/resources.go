package mcp

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
)

const (
	boardURI  = "kanban://boards/"
	ticketURI = "kanban://tickets/"
	mimeJSON  = "application/json"
)

// resource makes the content of one kind of resource.
type resource func(ctx context.Context, s *session, key commands.Ref) (reply, error)

// addResources adds what the resources are and how they are listed. They say
// what board_summary and get_ticket say with detailed.
func addResources(server *sdk.Server, cfg Config, who connect) {
	server.AddResourceTemplate(&sdk.ResourceTemplate{
		URITemplate: boardURI + "{key}", Name: "board", Title: "Board", MIMEType: mimeJSON,
		Description: "A board by key: columns, counts, who holds what, recent activity",
	}, cfg.read(boardURI, who, func(ctx context.Context, s *session, key commands.Ref) (reply, error) {
		return boardSummary(ctx, s, summaryArgs{Board: key, Detailed: true})
	}))
	server.AddResourceTemplate(&sdk.ResourceTemplate{
		URITemplate: ticketURI + "{key}", Name: "ticket", Title: "Ticket", MIMEType: mimeJSON,
		Description: "A ticket by key, with its texts and comments; get_ticket goes on where it is cut",
	}, cfg.read(ticketURI, who, func(ctx context.Context, s *session, key commands.Ref) (reply, error) {
		return getTicket(ctx, s, ticketArgs{Ticket: key, Detailed: true})
	}))
	server.AddReceivingMiddleware(func(next sdk.MethodHandler) sdk.MethodHandler {
		return func(ctx context.Context, method string, req sdk.Request) (_ sdk.Result, err error) {
			list, ok := req.(*sdk.ListResourcesRequest)
			if !ok {
				return next(ctx, method, req)
			}
			defer cfg.recovered(method, &err)
			ctx, done := tied(ctx)
			defer done()
			return listResources(ctx, list, who)
		}
	})
}

// listResources lists the caller's boards: which those are the SDK, whose lists
// are the same for everybody, cannot know.
func listResources(ctx context.Context, req *sdk.ListResourcesRequest, who connect) (*sdk.ListResourcesResult, error) {
	s, err := who(ctx)
	if err != nil {
		return nil, err
	}
	q := client.BoardQuery{Paging: client.Paging{Limit: maxPage}}
	if req.Params != nil {
		q.Cursor = req.Params.Cursor
	}
	page, err := s.client.Boards(ctx, q)
	if err != nil {
		return nil, unreadable("", err)
	}
	out := &sdk.ListResourcesResult{Resources: []*sdk.Resource{}, NextCursor: page.NextCursor}
	out.CacheScope = "private"
	for _, b := range page.Items {
		out.Resources = append(out.Resources, &sdk.Resource{
			URI: boardURI + url.PathEscape(b.Key), Name: b.Key, Title: "Board " + b.Key, MIMEType: mimeJSON,
		})
	}
	return out, nil
}

func (c Config) read(base string, who connect, make resource) sdk.ResourceHandler {
	return func(ctx context.Context, req *sdk.ReadResourceRequest) (_ *sdk.ReadResourceResult, err error) {
		defer c.recovered(req.Params.URI, &err)
		ctx, done := tied(ctx)
		defer done()
		s, err := who(ctx)
		if err != nil {
			return nil, err
		}
		uri := req.Params.URI
		key, err := url.PathUnescape(strings.TrimPrefix(uri, base))
		if err != nil || key == "" {
			return nil, sdk.ResourceNotFoundError(uri)
		}
		out, err := make(ctx, s, commands.Ref(key))
		if err != nil {
			return nil, unreadable(uri, err)
		}
		text, err := encode(out.data)
		if err != nil {
			return nil, err
		}
		return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: uri, MIMEType: mimeJSON, Text: string(text)}}}, nil
	}
}

// unreadable is an error of the protocol; resources have no other.
func unreadable(uri string, err error) error {
	var e *events.Error
	switch {
	case events.CodeOf(err) == events.CodeNotFound && uri != "":
		return sdk.ResourceNotFoundError(uri)
	case errors.As(err, &e) && next[e.Code] != "":
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: e.Message + " " + next[e.Code]}
	default:
		return fault(err)
	}
}
