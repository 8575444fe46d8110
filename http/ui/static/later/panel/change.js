// How the panel changes a ticket: it shows at once, and is taken back with the
// server's reason where that refuses. Texts are saved otherwise: they wait for the
// server, so that nothing that somebody else wrote is lost.
import { get, newKey, patch } from '../../lib/api.js';
import { complain } from '../../lib/parts.js';
import { t } from '../../lib/strings.js';
import { act, last, undoable } from '../../board/actions.js';

// change sends a command about a ticket. fields are shown before the server has
// confirmed them; text is the toast with its undo.
export function change(store, ticket, { method = 'PATCH', path = '', body, fields, text, sent, refused }) {
  const key = act({
    method, path: `/api/tickets/${ticket.id}${path}`, body, text,
    sent(reply) {
      const model = store.live.peek();
      // Where nothing changed there is no event that would end what was laid over.
      if (fields && (model.fold.tickets.get(ticket.id)?.version ?? 0) >= (reply?.version ?? 0)) model.lift(ticket.id, key);
      if (text) undoable(text, key);
      sent?.(reply);
    },
    refused(problem) {
      if (fields) store.live.peek().lift(ticket.id, key);
      complain(problem);
      refused?.(problem);
    },
  });
  if (fields) store.live.peek().lay(ticket.id, fields, key);
  return key;
}

// saveText saves one text of a ticket if it is still `base`, what the person began
// from. Other changes of the ticket do not matter. Where the text was changed it
// returns {newer, by}: the ticket as it is now, and who changed the text.
export async function saveText(store, id, field, text, base) {
  let ticket = store.live.peek().fold.tickets.get(id);
  // What is known here may be older than what the person began from.
  if (ticket?.[field] !== base) ticket = await get(`/api/tickets/${id}`);
  let by = null;
  for (let attempt = 1; ; attempt++) {
    if (ticket[field] !== base) return ticket[field] === text ? {} : { newer: ticket, by };
    const key = newKey();
    try {
      const reply = await patch(`/api/tickets/${id}`, { [field]: text }, { key, headers: { 'If-Match': `"v${ticket.version}"` } });
      const said = t('panel.saved', { what: t(`panel.${field}`), key: reply.key });
      last.value = { key, text: said };
      undoable(said, key);
      return {};
    } catch (err) {
      if (err.status !== 412 || attempt > 5) throw err;
      by = err.newer_events?.findLast((e) => e.data?.[field] !== undefined)?.actor.name ?? by;
      ticket = await get(`/api/tickets/${id}`);
    }
  }
}
