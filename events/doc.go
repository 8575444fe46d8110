// Package events is the domain's language: the facts a board can be told
// (TicketMoved, CommentAdded, …), the Envelope that carries one of them through
// the log, the codec with its schema numbers and upcasters, the hash chain, the
// roles and what they may do, and the error codes that survive the wire.
//
// It imports the standard library only, and every other package of this module
// imports it:
//
//	sealed := events.Seal(head, events.Envelope{
//		Stream: events.BoardStream(1), Version: 1, BoardID: 1,
//		ID: id, RecordedAt: now, Actor: actor, CommandID: commandID,
//	}, events.BoardCreated{Key: "WEB", Name: "Website", Columns: columns})
//	payload, err := sealed.Payload() // events.BoardCreated{…} again
//	wire := sealed.JSON()            // CloudEvents 1.0 JSON, encoded once
package events
