package http

import (
	"slices"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/agent-kanban/agent-kanban/events"
)

// ginRelease silences gin's debug output; the mode is gin's global.
var ginRelease = sync.OnceFunc(func() { gin.SetMode(gin.ReleaseMode) })

// refSchema documents commands.Ref.
type refSchema string

// Schema is for OpenAPI.
func (refSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		OneOf:       []*huma.Schema{{Type: huma.TypeInteger}, {Type: huma.TypeString}},
		Description: "An id, or a key or name",
	}
}

// nullableTime documents a time that null removes.
type nullableTime string

// Schema is for OpenAPI.
func (nullableTime) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Nullable: true}
}

// envelopeSchema documents what events.Envelope.JSON writes.
type envelopeSchema struct{}

// Schema is for OpenAPI.
func (envelopeSchema) Schema(huma.Registry) *huma.Schema {
	text := func(doc string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: doc} }
	number := func(doc string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeInteger, Format: "int64", Description: doc}
	}
	var kinds []any
	for _, t := range sortedTypes() {
		kinds = append(kinds, string(t))
	}
	return &huma.Schema{
		Type: huma.TypeObject, Description: "An event, as CloudEvents 1.0 JSON",
		Required: []string{"specversion", "id", "source", "type", "subject", "time", "position", "stream", "version", "schema", "actor", "command_id", "hash"},
		Properties: map[string]*huma.Schema{
			"specversion": text("1.0"), "id": text("UUIDv7"), "source": text("/boards/1"), "subject": text("ticket/12"),
			"type":            {Type: huma.TypeString, Enum: kinds},
			"time":            {Type: huma.TypeString, Format: "date-time"},
			"datacontenttype": text("application/json"),
			"data":            {Type: huma.TypeObject, Description: "The fact; where it was redacted (data_sha is there) what was kept of it, or absent"},
			"position":        number("Place in the whole log, without gaps"),
			"stream":          text("board-1"), "version": number("Place in the stream, without gaps"),
			"schema": number("Shape of data"), "board_id": number(""), "ticket_id": number(""),
			"actor": {
				Type: huma.TypeObject,
				Properties: map[string]*huma.Schema{
					"kind": {Type: huma.TypeString, Enum: []any{events.Human, events.Agent, events.System}},
					"id":   number(""), "name": text(""),
				},
			},
			"command_id": text(""), "correlation_id": text(""), "causation_id": text(""),
			"hash": text("SHA-256 of the chain up to here, hex"), "data_sha": text("SHA-256 of redacted data, hex"),
			"chain": number("Form of the hash: 2 covers the SHA-256 of the actor's name, absent = the name"), "actor_sha": text("SHA-256 of the name of an erased actor, hex"),
			"kept_schema": number("Shape of data where it was redacted"),
		},
	}
}

func sortedTypes() []events.Type {
	types := events.Types()
	slices.Sort(types)
	return types
}
