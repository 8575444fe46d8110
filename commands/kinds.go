package commands

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/agent-kanban/agent-kanban/events"
)

func (CreateBoard) CommandType() string         { return "create_board" }
func (CreateBoard) target() (board, ticket Ref) { return "", "" }

func (UpdateBoard) CommandType() string           { return "update_board" }
func (c UpdateBoard) target() (board, ticket Ref) { return c.Board, "" }

func (ArchiveBoard) CommandType() string           { return "archive_board" }
func (c ArchiveBoard) target() (board, ticket Ref) { return c.Board, "" }

func (RestoreBoard) CommandType() string           { return "restore_board" }
func (c RestoreBoard) target() (board, ticket Ref) { return c.Board, "" }

func (DeleteBoard) CommandType() string           { return "delete_board" }
func (c DeleteBoard) target() (board, ticket Ref) { return c.Board, "" }

func (SetColumns) CommandType() string           { return "set_columns" }
func (c SetColumns) target() (board, ticket Ref) { return c.Board, "" }

func (AddColumn) CommandType() string           { return "add_column" }
func (c AddColumn) target() (board, ticket Ref) { return c.Board, "" }

func (UpdateColumn) CommandType() string           { return "update_column" }
func (c UpdateColumn) target() (board, ticket Ref) { return c.Board, "" }

func (MoveColumn) CommandType() string           { return "move_column" }
func (c MoveColumn) target() (board, ticket Ref) { return c.Board, "" }

func (RemoveColumn) CommandType() string           { return "remove_column" }
func (c RemoveColumn) target() (board, ticket Ref) { return c.Board, "" }

func (SetMember) CommandType() string           { return "set_member" }
func (c SetMember) target() (board, ticket Ref) { return c.Board, "" }

func (RemoveMember) CommandType() string           { return "remove_member" }
func (c RemoveMember) target() (board, ticket Ref) { return c.Board, "" }

func (CreateTicket) CommandType() string           { return "create_ticket" }
func (c CreateTicket) target() (board, ticket Ref) { return c.Board, "" }

func (UpdateTicket) CommandType() string           { return "update_ticket" }
func (c UpdateTicket) target() (board, ticket Ref) { return "", c.Ticket }

func (MoveTicket) CommandType() string           { return "move_ticket" }
func (c MoveTicket) target() (board, ticket Ref) { return "", c.Ticket }

func (AssignTicket) CommandType() string           { return "assign_ticket" }
func (c AssignTicket) target() (board, ticket Ref) { return "", c.Ticket }

func (ArchiveTicket) CommandType() string           { return "archive_ticket" }
func (c ArchiveTicket) target() (board, ticket Ref) { return "", c.Ticket }

func (RestoreTicket) CommandType() string           { return "restore_ticket" }
func (c RestoreTicket) target() (board, ticket Ref) { return "", c.Ticket }

func (DeleteTicket) CommandType() string           { return "delete_ticket" }
func (c DeleteTicket) target() (board, ticket Ref) { return "", c.Ticket }

func (AddComment) CommandType() string           { return "add_comment" }
func (c AddComment) target() (board, ticket Ref) { return "", c.Ticket }

func (UpdateComment) CommandType() string           { return "update_comment" }
func (c UpdateComment) target() (board, ticket Ref) { return "", c.Ticket }

func (DeleteComment) CommandType() string           { return "delete_comment" }
func (c DeleteComment) target() (board, ticket Ref) { return "", c.Ticket }

func (RegisterUser) CommandType() string         { return "register_user" }
func (RegisterUser) target() (board, ticket Ref) { return "", "" }

func (UpdateUser) CommandType() string         { return "update_user" }
func (UpdateUser) target() (board, ticket Ref) { return "", "" }

func (DeactivateUser) CommandType() string         { return "deactivate_user" }
func (DeactivateUser) target() (board, ticket Ref) { return "", "" }

func (IssueToken) CommandType() string         { return "issue_token" }
func (IssueToken) target() (board, ticket Ref) { return "", "" }

func (RevokeToken) CommandType() string         { return "revoke_token" }
func (RevokeToken) target() (board, ticket Ref) { return "", "" }

func (ImportLog) CommandType() string         { return "import_log" }
func (ImportLog) target() (board, ticket Ref) { return "", "" }

func (ClaimNext) CommandType() string           { return "claim_next" }
func (c ClaimNext) target() (board, ticket Ref) { return c.Board, "" }

func (FreezeBoard) CommandType() string           { return "freeze_board" }
func (c FreezeBoard) target() (board, ticket Ref) { return c.Board, "" }

func (UnfreezeBoard) CommandType() string           { return "unfreeze_board" }
func (c UnfreezeBoard) target() (board, ticket Ref) { return c.Board, "" }

func (UndoActor) CommandType() string           { return "undo_actor" }
func (c UndoActor) target() (board, ticket Ref) { return c.Board, "" }

func (AddWebhook) CommandType() string           { return "add_webhook" }
func (c AddWebhook) target() (board, ticket Ref) { return c.Board, "" }

func (UpdateWebhook) CommandType() string           { return "update_webhook" }
func (c UpdateWebhook) target() (board, ticket Ref) { return c.Board, "" }

func (RemoveWebhook) CommandType() string           { return "remove_webhook" }
func (c RemoveWebhook) target() (board, ticket Ref) { return c.Board, "" }

func (ClaimTicket) CommandType() string           { return "claim_ticket" }
func (c ClaimTicket) target() (board, ticket Ref) { return "", c.Ticket }

func (Heartbeat) CommandType() string           { return "heartbeat" }
func (c Heartbeat) target() (board, ticket Ref) { return "", c.Ticket }

func (ReleaseTicket) CommandType() string           { return "release_ticket" }
func (c ReleaseTicket) target() (board, ticket Ref) { return "", c.Ticket }

func (CompleteTicket) CommandType() string           { return "complete_ticket" }
func (c CompleteTicket) target() (board, ticket Ref) { return "", c.Ticket }

func (ExpireLease) CommandType() string           { return "expire_lease" }
func (c ExpireLease) target() (board, ticket Ref) { return "", c.Ticket }

func (AddDependency) CommandType() string           { return "add_dependency" }
func (c AddDependency) target() (board, ticket Ref) { return "", c.Ticket }

func (RemoveDependency) CommandType() string           { return "remove_dependency" }
func (c RemoveDependency) target() (board, ticket Ref) { return "", c.Ticket }

func (SetChecklist) CommandType() string           { return "set_checklist" }
func (c SetChecklist) target() (board, ticket Ref) { return "", c.Ticket }

func (CheckItem) CommandType() string           { return "check_item" }
func (c CheckItem) target() (board, ticket Ref) { return "", c.Ticket }

func (AddEvidence) CommandType() string           { return "add_evidence" }
func (c AddEvidence) target() (board, ticket Ref) { return "", c.Ticket }

func (RemoveEvidence) CommandType() string           { return "remove_evidence" }
func (c RemoveEvidence) target() (board, ticket Ref) { return "", c.Ticket }

func (RequestApproval) CommandType() string           { return "request_approval" }
func (c RequestApproval) target() (board, ticket Ref) { return "", c.Ticket }

func (ApproveTicket) CommandType() string           { return "approve_ticket" }
func (c ApproveTicket) target() (board, ticket Ref) { return "", c.Ticket }

func (RejectTicket) CommandType() string           { return "reject_ticket" }
func (c RejectTicket) target() (board, ticket Ref) { return "", c.Ticket }

func (RecordUsage) CommandType() string           { return "record_usage" }
func (c RecordUsage) target() (board, ticket Ref) { return "", c.Ticket }

func (PauseAgent) CommandType() string         { return "pause_agent" }
func (PauseAgent) target() (board, ticket Ref) { return "", "" }

func (ResumeAgent) CommandType() string         { return "resume_agent" }
func (ResumeAgent) target() (board, ticket Ref) { return "", "" }

func (UndoCommand) CommandType() string         { return "undo_command" }
func (UndoCommand) target() (board, ticket Ref) { return "", "" }

// public are the commands that anyone may send to POST /api/commands.
var public = map[string]func(json.RawMessage) (Command, error){
	"create_board":      read[CreateBoard],
	"update_board":      read[UpdateBoard],
	"archive_board":     read[ArchiveBoard],
	"restore_board":     read[RestoreBoard],
	"delete_board":      read[DeleteBoard],
	"set_columns":       read[SetColumns],
	"add_column":        read[AddColumn],
	"update_column":     read[UpdateColumn],
	"move_column":       read[MoveColumn],
	"remove_column":     read[RemoveColumn],
	"set_member":        read[SetMember],
	"remove_member":     read[RemoveMember],
	"create_ticket":     read[CreateTicket],
	"update_ticket":     read[UpdateTicket],
	"move_ticket":       read[MoveTicket],
	"assign_ticket":     read[AssignTicket],
	"archive_ticket":    read[ArchiveTicket],
	"restore_ticket":    read[RestoreTicket],
	"delete_ticket":     read[DeleteTicket],
	"add_comment":       read[AddComment],
	"update_comment":    read[UpdateComment],
	"delete_comment":    read[DeleteComment],
	"claim_next":        read[ClaimNext],
	"freeze_board":      read[FreezeBoard],
	"unfreeze_board":    read[UnfreezeBoard],
	"undo_actor":        read[UndoActor],
	"claim_ticket":      read[ClaimTicket],
	"heartbeat":         read[Heartbeat],
	"release_ticket":    read[ReleaseTicket],
	"complete_ticket":   read[CompleteTicket],
	"add_dependency":    read[AddDependency],
	"remove_dependency": read[RemoveDependency],
	"set_checklist":     read[SetChecklist],
	"check_item":        read[CheckItem],
	"add_evidence":      read[AddEvidence],
	"remove_evidence":   read[RemoveEvidence],
	"request_approval":  read[RequestApproval],
	"approve_ticket":    read[ApproveTicket],
	"reject_ticket":     read[RejectTicket],
	"record_usage":      read[RecordUsage],
	"pause_agent":       read[PauseAgent],
	"resume_agent":      read[ResumeAgent],
	"undo_command":      read[UndoCommand],
}

// Types lists the commands that Decode knows, sorted.
func Types() []string { return slices.Sorted(maps.Keys(public)) }

// Decode reads the data of a command from the wire. Unknown kinds and unknown
// fields are refused with CodeInvalid.
func Decode(kind string, data json.RawMessage) (Command, error) {
	read, ok := public[kind]
	if !ok {
		return nil, events.Errorf(events.CodeInvalid, "There is no command %q. See /docs for the list.", kind)
	}
	cmd, err := read(data)
	if err != nil {
		return nil, events.Errorf(events.CodeInvalid, "The data of %s cannot be read: %v.", kind, err)
	}
	return cmd, nil
}

func read[C Command](data json.RawMessage) (Command, error) {
	var cmd C
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(&cmd)
	return cmd, err
}

func itoa(n int) string { return strconv.Itoa(n) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
