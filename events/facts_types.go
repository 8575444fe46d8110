package events

// One line per fact; codec_test.go fails when a type is missing here or in the
// codec's table.

func (BoardCreated) Type() Type    { return TypeBoardCreated }
func (BoardUpdated) Type() Type    { return TypeBoardUpdated }
func (BoardArchived) Type() Type   { return TypeBoardArchived }
func (BoardRestored) Type() Type   { return TypeBoardRestored }
func (BoardDeleted) Type() Type    { return TypeBoardDeleted }
func (ColumnAdded) Type() Type     { return TypeColumnAdded }
func (ColumnUpdated) Type() Type   { return TypeColumnUpdated }
func (ColumnMoved) Type() Type     { return TypeColumnMoved }
func (ColumnRemoved) Type() Type   { return TypeColumnRemoved }
func (MemberAdded) Type() Type     { return TypeMemberAdded }
func (MemberUpdated) Type() Type   { return TypeMemberUpdated }
func (MemberRemoved) Type() Type   { return TypeMemberRemoved }
func (TicketCreated) Type() Type   { return TypeTicketCreated }
func (TicketUpdated) Type() Type   { return TypeTicketUpdated }
func (TicketMoved) Type() Type     { return TypeTicketMoved }
func (TicketAssigned) Type() Type  { return TypeTicketAssigned }
func (TicketArchived) Type() Type  { return TypeTicketArchived }
func (TicketRestored) Type() Type  { return TypeTicketRestored }
func (TicketDeleted) Type() Type   { return TypeTicketDeleted }
func (CommentAdded) Type() Type    { return TypeCommentAdded }
func (CommentUpdated) Type() Type  { return TypeCommentUpdated }
func (CommentDeleted) Type() Type  { return TypeCommentDeleted }
func (UserRegistered) Type() Type  { return TypeUserRegistered }
func (UserUpdated) Type() Type     { return TypeUserUpdated }
func (UserDeactivated) Type() Type { return TypeUserDeactivated }
func (TokenIssued) Type() Type     { return TypeTokenIssued }
func (TokenRevoked) Type() Type    { return TypeTokenRevoked }
func (LogImported) Type() Type     { return TypeLogImported }

func (BoardCreated) sealed()    {}
func (BoardUpdated) sealed()    {}
func (BoardArchived) sealed()   {}
func (BoardRestored) sealed()   {}
func (BoardDeleted) sealed()    {}
func (ColumnAdded) sealed()     {}
func (ColumnUpdated) sealed()   {}
func (ColumnMoved) sealed()     {}
func (ColumnRemoved) sealed()   {}
func (MemberAdded) sealed()     {}
func (MemberUpdated) sealed()   {}
func (MemberRemoved) sealed()   {}
func (TicketCreated) sealed()   {}
func (TicketUpdated) sealed()   {}
func (TicketMoved) sealed()     {}
func (TicketAssigned) sealed()  {}
func (TicketArchived) sealed()  {}
func (TicketRestored) sealed()  {}
func (TicketDeleted) sealed()   {}
func (CommentAdded) sealed()    {}
func (CommentUpdated) sealed()  {}
func (CommentDeleted) sealed()  {}
func (UserRegistered) sealed()  {}
func (UserUpdated) sealed()     {}
func (UserDeactivated) sealed() {}
func (TokenIssued) sealed()     {}
func (TokenRevoked) sealed()    {}
func (LogImported) sealed()     {}
