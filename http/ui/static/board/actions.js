// What a person does to tickets. Each action shows at once and is taken back with the
// reason when the server refuses; each can be undone from its toast. While the server
// is away, moves wait here in order, and are sent with the same keys when it is back.
import { signal } from '../vendor/preact.js';
import { newKey, post, request } from '../lib/api.js';
import { complain, say, toast } from '../lib/parts.js';
import { refusal, t } from '../lib/strings.js';

// unsent are actions that wait for the server.
export const unsent = signal([]);

async function undo(key) {
  try {
    await post(`/api/commands/${key}/undo`, undefined);
    say(t('undone'));
  } catch (err) {
    complain(err);
  }
}

export const undoable = (text, key) => toast(text, { kind: 'green', action: () => undo(key), label: t('app.undo') });

// last is the command that Ctrl-Z takes back.
export const last = signal(null);
export function undoLast() {
  if (!last.value) return;
  const { key } = last.value;
  last.value = null;
  undo(key);
}

// act sends a command; where the server is away, it waits in line.
// refused is called with the problem, sent with the reply.
export function act({ method = 'POST', path, body, text, sent, refused }) {
  const job = { key: newKey(), method, path, body, text, sent, refused };
  if (unsent.value.length) unsent.value = [...unsent.value, job];
  else run(job);
  return job.key;
}

async function run(job) {
  try {
    const reply = await request(job.method, job.path, { body: job.body, key: job.key });
    last.value = { key: job.key, text: job.text };
    job.sent?.(reply);
    return true;
  } catch (err) {
    if (err.code === 'offline') {
      if (!unsent.value.includes(job)) unsent.value = [...unsent.value, job];
      return false;
    }
    if (job.refused) job.refused(err);
    else complain(err);
    return true;
  }
}

let sending = false;

// sendUnsent sends what waits, in order, until the server is away again.
export async function sendUnsent() {
  if (sending) return;
  sending = true;
  try {
    while (unsent.value.length && (await run(unsent.value[0]))) unsent.value = unsent.value.slice(1);
  } finally {
    sending = false;
  }
}

addEventListener('beforeunload', (event) => {
  if (unsent.value.length) event.preventDefault();
});

// moveTicket puts a ticket into a column, before or after another one (ids), or at its
// end. overLimit goes past a WIP limit, which the log records.
export function moveTicket(store, id, { column, before, after, overLimit = false }) {
  const model = store.live.peek();
  const ticket = model.look(id);
  const to = model.board.peek().columns.find((c) => c.id === column);
  if (!ticket || !to) return;
  const ids = model.cell(column).peek().filter((x) => x !== id);
  let at = ids.length;
  if (before) at = ids.indexOf(before);
  else if (after) at = ids.indexOf(after) + 1;
  const rank = at > 0 ? `${model.look(ids[at - 1]).rank}\u0000` : '';
  if (ticket.column_id === column && model.cell(column).peek().indexOf(id) === at) return;
  const fields = { column_id: column, current_column: to.name, rank };
  if (ticket.column_id !== column) fields.column_entered_at = new Date().toISOString();
  const body = { column: String(column), ...(before && { before: String(before) }), ...(after && !before && { after: String(after) }), ...(overLimit && { over_limit: true }) };
  const text = t('move.done', { key: ticket.key, column: to.name });
  const key = act({
    path: `/api/tickets/${id}/move`, body, text,
    sent: () => undoable(text, key),
    refused(problem) {
      model.lift(id, key);
      const said = t('move.refused', { key: ticket.key, column: ticket.current_column, why: refusal(problem) });
      const anyway = problem.code === 'wip_limit' && store.can('manage');
      toast(said, {
        kind: 'red', life: 12_000,
        ...(anyway && { label: t('move.anyway'), action: () => moveTicket(store, id, { column, before, after, overLimit: true }) }),
      });
    },
  });
  model.lay(id, fields, key);
}

// addTicket adds a ticket at the end of a column.
export async function addTicket(store, column, title, more = {}) {
  const key = newKey();
  const ticket = await request('POST', '/api/tickets', { body: { board_id: String(store.id), title, column: String(column.id), ...more }, key });
  last.value = { key, text: title };
  undoable(t('move.added', { key: ticket.key, column: column.name }), key);
  return ticket;
}
