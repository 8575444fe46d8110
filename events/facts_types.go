package events

// One line per fact; codec_test.go fails when a type is missing here or in the
// codec's table.

func (BoardCreated) Type() Type      { return TypeBoardCreated }
func (BoardUpdated) Type() Type      { return TypeBoardUpdated }
func (BoardArchived) Type() Type     { return TypeBoardArchived }
func (BoardRestored) Type() Type     { return TypeBoardRestored }
func (BoardDeleted) Type() Type      { return TypeBoardDeleted }
func (ColumnAdded) Type() Type       { return TypeColumnAdded }
func (ColumnUpdated) Type() Type     { return TypeColumnUpdated }
func (ColumnMoved) Type() Type       { return TypeColumnMoved }
func (ColumnRemoved) Type() Type     { return TypeColumnRemoved }
func (MemberAdded) Type() Type       { return TypeMemberAdded }
func (MemberUpdated) Type() Type     { return TypeMemberUpdated }
func (MemberRemoved) Type() Type     { return TypeMemberRemoved }
func (TicketCreated) Type() Type     { return TypeTicketCreated }
func (TicketUpdated) Type() Type     { return TypeTicketUpdated }
func (TicketMoved) Type() Type       { return TypeTicketMoved }
func (TicketAssigned) Type() Type    { return TypeTicketAssigned }
func (TicketArchived) Type() Type    { return TypeTicketArchived }
func (TicketRestored) Type() Type    { return TypeTicketRestored }
func (TicketDeleted) Type() Type     { return TypeTicketDeleted }
func (CommentAdded) Type() Type      { return TypeCommentAdded }
func (CommentUpdated) Type() Type    { return TypeCommentUpdated }
func (CommentDeleted) Type() Type    { return TypeCommentDeleted }
func (UserRegistered) Type() Type    { return TypeUserRegistered }
func (UserUpdated) Type() Type       { return TypeUserUpdated }
func (UserDeactivated) Type() Type   { return TypeUserDeactivated }
func (TokenIssued) Type() Type       { return TypeTokenIssued }
func (TokenRevoked) Type() Type      { return TypeTokenRevoked }
func (LogImported) Type() Type       { return TypeLogImported }
func (BoardFrozen) Type() Type       { return TypeBoardFrozen }
func (BoardUnfrozen) Type() Type     { return TypeBoardUnfrozen }
func (CommandsUndone) Type() Type    { return TypeCommandsUndone }
func (WebhookAdded) Type() Type      { return TypeWebhookAdded }
func (WebhookUpdated) Type() Type    { return TypeWebhookUpdated }
func (WebhookRemoved) Type() Type    { return TypeWebhookRemoved }
func (TicketRecovered) Type() Type   { return TypeTicketRecovered }
func (TicketClaimed) Type() Type     { return TypeTicketClaimed }
func (TicketReleased) Type() Type    { return TypeTicketReleased }
func (LeaseExpired) Type() Type      { return TypeLeaseExpired }
func (DependencyAdded) Type() Type   { return TypeDependencyAdded }
func (DependencyRemoved) Type() Type { return TypeDependencyRemoved }
func (ChecklistChanged) Type() Type  { return TypeChecklistChanged }
func (EvidenceAdded) Type() Type     { return TypeEvidenceAdded }
func (EvidenceRemoved) Type() Type   { return TypeEvidenceRemoved }
func (ApprovalRequested) Type() Type { return TypeApprovalRequested }
func (TicketApproved) Type() Type    { return TypeTicketApproved }
func (TicketRejected) Type() Type    { return TypeTicketRejected }
func (ApprovalWithdrawn) Type() Type { return TypeApprovalWithdrawn }
func (UsageRecorded) Type() Type     { return TypeUsageRecorded }
func (AgentPaused) Type() Type       { return TypeAgentPaused }
func (AgentResumed) Type() Type      { return TypeAgentResumed }

func (BoardCreated) sealed()      {}
func (BoardUpdated) sealed()      {}
func (BoardArchived) sealed()     {}
func (BoardRestored) sealed()     {}
func (BoardDeleted) sealed()      {}
func (ColumnAdded) sealed()       {}
func (ColumnUpdated) sealed()     {}
func (ColumnMoved) sealed()       {}
func (ColumnRemoved) sealed()     {}
func (MemberAdded) sealed()       {}
func (MemberUpdated) sealed()     {}
func (MemberRemoved) sealed()     {}
func (TicketCreated) sealed()     {}
func (TicketUpdated) sealed()     {}
func (TicketMoved) sealed()       {}
func (TicketAssigned) sealed()    {}
func (TicketArchived) sealed()    {}
func (TicketRestored) sealed()    {}
func (TicketDeleted) sealed()     {}
func (CommentAdded) sealed()      {}
func (CommentUpdated) sealed()    {}
func (CommentDeleted) sealed()    {}
func (UserRegistered) sealed()    {}
func (UserUpdated) sealed()       {}
func (UserDeactivated) sealed()   {}
func (TokenIssued) sealed()       {}
func (TokenRevoked) sealed()      {}
func (LogImported) sealed()       {}
func (BoardFrozen) sealed()       {}
func (BoardUnfrozen) sealed()     {}
func (CommandsUndone) sealed()    {}
func (WebhookAdded) sealed()      {}
func (WebhookUpdated) sealed()    {}
func (WebhookRemoved) sealed()    {}
func (TicketRecovered) sealed()   {}
func (TicketClaimed) sealed()     {}
func (TicketReleased) sealed()    {}
func (LeaseExpired) sealed()      {}
func (DependencyAdded) sealed()   {}
func (DependencyRemoved) sealed() {}
func (ChecklistChanged) sealed()  {}
func (EvidenceAdded) sealed()     {}
func (EvidenceRemoved) sealed()   {}
func (ApprovalRequested) sealed() {}
func (TicketApproved) sealed()    {}
func (TicketRejected) sealed()    {}
func (ApprovalWithdrawn) sealed() {}
func (UsageRecorded) sealed()     {}
func (AgentPaused) sealed()       {}
func (AgentResumed) sealed()      {}
