package mcp

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agent-kanban/agent-kanban/http/client"
)

// Config is how the tools present themselves.
type Config struct {
	// Version is the program's, shown to clients.
	Version string
	// Origins are the origins ("https://board.example") whose pages may call
	// Handler from a browser, besides the server's own.
	Origins []string
	// Log is for what operators should know; nil = none.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// toolsJSON describes the tools as tools/list gives them away. It is written by
// hand, because generated schemas take several times as many tokens; a test
// holds it and the arguments that the tools read together.
//
//go:embed tools.json
var toolsJSON []byte

//go:embed instructions.txt
var instructions string

// session is one caller: its client, and what kanban mcp remembers for it.
type session struct {
	client *client.Client
	// fences are those of the caller's claims; nil where nothing is remembered.
	fences *fences
}

// connect finds the caller of a request.
type connect func(ctx context.Context) (*session, error)

// reply is what a tool answers: a sentence without anybody's text in it, and
// the data.
type reply struct {
	text string
	data any
}

// tool is one of the ten, with its arguments still as JSON.
type tool func(ctx context.Context, s *session, args json.RawMessage) (reply, error)

// tools are the ten, by their names in tools.json.
var tools = map[string]tool{
	"list_boards":     typed(listBoards),
	"find_tickets":    typed(findTickets),
	"get_ticket":      typed(getTicket),
	"board_summary":   typed(boardSummary),
	"create_tickets":  typed(createTickets),
	"update_ticket":   typed(updateTicket),
	"claim_next":      typed(claimNext),
	"heartbeat":       typed(heartbeat),
	"comment":         typed(comment),
	"complete_ticket": typed(completeTicket),
}

// typed reads the arguments strictly: a misspelt one must not be ignored.
func typed[A any](run func(context.Context, *session, A) (reply, error)) tool {
	return func(ctx context.Context, s *session, args json.RawMessage) (reply, error) {
		var in A
		if len(args) == 0 {
			args = json.RawMessage("{}")
		}
		dec := json.NewDecoder(bytes.NewReader(args))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			return reply{}, badArguments(err)
		}
		return run(ctx, s, in)
	}
}

// newServer has the tools and resources on it.
func newServer(cfg Config, who connect) (*sdk.Server, error) {
	var described []*sdk.Tool
	if err := json.Unmarshal(toolsJSON, &described); err != nil {
		return nil, fmt.Errorf("read the descriptions of the tools: %w", err)
	}
	server := sdk.NewServer(&sdk.Implementation{Name: "agent-kanban", Title: "Agent Kanban", Version: cfg.Version}, &sdk.ServerOptions{
		Instructions: instructions,
		// Neither list changes while the server runs, so nobody need subscribe.
		Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{}, Resources: &sdk.ResourceCapabilities{}},
		SetCacheable: cacheable,
	})
	for _, d := range described {
		run, ok := tools[d.Name]
		if !ok {
			return nil, fmt.Errorf("there is no tool %s", d.Name)
		}
		server.AddTool(d, cfg.handle(d.Name, run, who))
	}
	addResources(server, cfg, who)
	return server, nil
}

// cacheable keeps shared caches from what only one caller may see.
func cacheable(_ context.Context, req sdk.Request, c *sdk.Cacheable) {
	switch req.(type) {
	case *sdk.ListToolsRequest, *sdk.ListResourceTemplatesRequest:
		c.TTLMs = int(time.Hour / time.Millisecond)
	default:
		c.TTLMs, c.CacheScope = 0, "private"
	}
}

// handle is the way of every call: whose it is, the tool, its reply or refusal.
func (c Config) handle(name string, run tool, who connect) sdk.ToolHandler {
	return func(ctx context.Context, req *sdk.CallToolRequest) (res *sdk.CallToolResult, err error) {
		// The SDK runs this in a goroutine of its own, where a panic would end
		// the whole server.
		defer c.recovered(name, &err)
		ctx, done := tied(ctx)
		defer done()
		s, err := who(ctx)
		if err != nil {
			return nil, err
		}
		out, err := run(ctx, s, req.Params.Arguments)
		if err != nil {
			return refusal(err)
		}
		return result(out)
	}
}

func (c Config) recovered(name string, err *error) {
	if v := recover(); v != nil {
		c.Log.Error("mcp tool panicked", "tool", name, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		*err = errInternal
	}
}

// frame is the weight of what the protocol puts around a reply.
const frame = 60

// result puts the data into the reply twice: as structured content, and as text
// for the many clients that show a model nothing else.
func result(out reply) (*sdk.CallToolResult, error) {
	data, err := encode(out.data)
	if err != nil {
		return nil, err
	}
	if weigh(out.text)+weightOf(data)+frame > maxWeight {
		return refusal(errTooLarge)
	}
	return &sdk.CallToolResult{
		Content:           []sdk.Content{&sdk.TextContent{Text: out.text}, &sdk.TextContent{Text: string(data)}},
		StructuredContent: data,
	}, nil
}

// encode is JSON as the model reads it: < and > as they are.
func encode(v any) (json.RawMessage, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode reply: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// Serve speaks MCP on in and out until in ends or ctx does; both are a normal
// end. The fences of the claims that are made are remembered, so that the model
// need not give them.
func Serve(ctx context.Context, cfg Config, c *client.Client, in io.Reader, out io.Writer) error {
	s := &session{client: c, fences: newFences()}
	server, err := newServer(cfg.withDefaults(), func(context.Context) (*session, error) { return s, nil })
	if err != nil {
		return err
	}
	err = server.Run(ctx, &sdk.IOTransport{Reader: io.NopCloser(in), Writer: keepOpen{out}})
	if err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil //nolint:nilerr // the other side has closed, or we were told to stop
}

// keepOpen leaves closing to whoever opened.
type keepOpen struct{ io.Writer }

// Close implements io.Closer.
func (keepOpen) Close() error { return nil }
