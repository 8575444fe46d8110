// What events say, and the comments of one ticket folded from them.

export const REDACTED = '[redacted]';

// Types whose name says it all: without their data they are as good.
const PLAIN = new Set(['board_archived', 'board_restored', 'board_deleted', 'ticket_archived', 'ticket_deleted', 'ticket_released', 'lease_expired']);

// factOf is what an event says; null: it is redacted.
export const factOf = (e) => e.data ?? (PLAIN.has(e.type) ? {} : null);

// foldComments brings one event of a ticket into its comments, oldest first.
export function foldComments(list, e) {
  const fact = factOf(e);
  switch (e.type) {
    case 'comment_added':
      return withComment(list, e, {
        id: fact ? fact.comment_id : -e.position, text: fact ? fact.text : REDACTED,
        author: e.actor.name, author_kind: e.actor.kind, created_at: e.time, updated_at: e.time,
      });
    case 'comment_updated':
      return fact ? list.map((c) => (c.id === fact.comment_id ? { ...c, text: fact.text, updated_at: e.time } : c)) : list;
    case 'comment_deleted':
      return fact ? list.filter((c) => c.id !== fact.comment_id) : list;
    case 'ticket_deleted':
      return [];
    case 'ticket_recovered':
      return (fact?.comments ?? []).reduce((all, { author, ...c }) => withComment(all, e, { ...c, author: author.name, author_kind: author.kind }), list);
    default:
      return list;
  }
}

const withComment = (list, e, c) => (list.some((x) => x.id === c.id) ? list : [...list, { ticket_id: e.ticket_id, board_id: e.board_id, ...c }]);
