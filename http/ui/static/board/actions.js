// What a person does to tickets. Each action shows at once and is taken back with the
// reason when the server refuses; each can be undone from its toast. While the server
// is away, actions wait here in order, and are sent with the same keys when it is back.
import { effect, signal } from '../vendor/preact.js';
import { newKey, post, request } from '../lib/api.js';
import { complain, dismiss, say, toast } from '../lib/parts.js';
import { refusal, t } from '../lib/strings.js';
import { laneFields } from './lane.js';

// unsent are actions that wait for the server.
export const unsent = signal([]);

// ours are the ids of commands of this page. A bulk request adds #0, #1… to its own.
const ours = new Set();
export const isOurs = (id) => ours.has(id) || ours.has(id?.split('#')[0]);
export const own = (key) => {
  ours.add(key);
  if (ours.size > 5000) ours.delete(ours.values().next().value);
  return key;
};

// flying are the keys of commands whose outcome is not known yet.
const flying = new Set();
export const isFlying = (key) => flying.has(key);

// Commands are sent one after the other, so that they arrive in the order in which
// they were given.
let tail = Promise.resolve();
const inTurn = (task) => {
  const done = tail.then(task, task);
  tail = done.catch(() => {});
  return done;
};

// last is the command that Ctrl-Z takes back: {key, text}; key may be a list of keys.
// The ones before it are in `earlier`.
export const last = signal(null);
const earlier = [];
effect(() => {
  if (last.value && earlier.at(-1) !== last.value) earlier.push(last.value);
  if (earlier.length > 100) earlier.shift();
});

const forgetLast = (key) => {
  const at = earlier.findLastIndex((x) => x.key === key);
  if (at >= 0) earlier.splice(at, 1);
  last.value = earlier.at(-1) ?? null;
};

// undo takes back what a command did, or a list of commands at once.
export async function undo(key) {
  forgetLast(key);
  dismiss(offered);
  try {
    await inTurn(() => (Array.isArray(key)
      ? post('/api/commands', key.toReversed().map((id) => ({ type: 'undo_command', data: { command_id: id } })), { key: own(newKey()) })
      : post(`/api/commands/${encodeURIComponent(key)}/undo`, undefined, { key: own(newKey()) })));
    say(t('undone'));
  } catch (err) {
    complain(err);
  }
}

// undoable says what was done, and offers to take it back: one offer at a time.
let offered = 0;
export function undoable(text, key) {
  dismiss(offered);
  offered = toast(text, { kind: 'green', action: () => undo(key), label: t('app.undo') });
  return offered;
}

export function undoLast() {
  if (!last.value) {
    toast(t('keys.nothing_to_undo'));
    return;
  }
  const { key, text } = last.value;
  undo(key).then(() => text && say(`${text} ${t('undone')}`));
}

// act sends a command; where the server is away, it waits in line.
// refused is called with the problem, sent with the reply.
export function act({ method = 'POST', path, body, text, sent, refused }) {
  const job = { key: own(newKey()), method, path, body, text, sent, refused };
  flying.add(job.key);
  const wait = () => { unsent.value = [...unsent.value, job]; };
  if (unsent.value.length) wait();
  else inTurn(() => (unsent.value.length ? wait() : run(job))); // one before it may have had to wait
  return job.key;
}

async function run(job) {
  try {
    const reply = await request(job.method, job.path, { body: job.body, key: job.key });
    last.value = { key: job.key, text: job.text };
    flying.delete(job.key);
    job.sent?.(reply);
    return true;
  } catch (err) {
    if (err.code === 'offline') {
      if (!unsent.value.includes(job)) unsent.value = [...unsent.value, job];
      return false;
    }
    flying.delete(job.key);
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

// commands sends a list of commands of which all are carried out or none: one command
// to the log, and one undo. over is what shows meanwhile: [[ticket id, fields]].
export function commands(store, list, { text, over = [], refused, toasted = true }) {
  const key = act({
    path: '/api/commands', body: list, text,
    sent(reply) {
      store.live.peek().settle(key, reply.events);
      if (toasted) undoable(text, key);
    },
    refused(problem) {
      for (const [id] of over) store.live.peek().lift(id, key);
      if (refused) refused(problem);
      else complain(problem);
    },
  });
  for (const [id, fields] of over) store.live.peek().lay(id, fields, key);
  return key;
}

// moveTicket puts a ticket into a column, before or after another one (ids), or at its
// end. overLimit goes past a WIP limit, which the log records.
export const moveTicket = (store, id, to) => moveTickets(store, [id], to);

// moveTickets puts tickets into a column side by side, in the order of the list. In a
// lane they also get what the lane stands for: `by` is what lanes are made by.
export function moveTickets(store, ids, { column, before, after, by = null, lane = null, overLimit = false }) {
  const model = store.live.peek();
  const to = model.board.peek().columns.find((c) => c.id === column);
  const tickets = ids.map((id) => model.look(id)).filter(Boolean);
  if (!tickets.length || !to) return;
  const cell = model.cell(column).peek();
  const moving = new Set(tickets.map((x) => x.id));
  // The place among those that stay.
  const rest = cell.filter((id) => !moving.has(id));
  const stays = (id) => !moving.has(id);
  let at = rest.length;
  if (before && cell.includes(before)) at = rest.indexOf(cell.slice(cell.indexOf(before)).find(stays) ?? null);
  else if (after && cell.includes(after)) at = rest.indexOf(cell.slice(0, cell.indexOf(after) + 1).findLast(stays)) + 1;
  if (at < 0) at = rest.length;
  const wanted = rest.toSpliced(at, 0, ...moving);
  const stay = wanted.length === cell.length && wanted.every((id, i) => id === cell[i]);
  const rank = at > 0 ? model.look(rest[at - 1]).rank : '';
  const entered = new Date().toISOString();
  const place = at < rest.length ? { before: String(rest[at]) } : {};
  const list = [];
  const over = [];
  tickets.forEach((ticket, i) => {
    const more = laneFields(ticket, by, lane);
    const fields = { ...more };
    const about = { ticket: String(ticket.id) };
    if (!stay) {
      list.push({ type: 'move_ticket', data: { ...about, column: String(column), ...place, ...(overLimit && { over_limit: true }) } });
      Object.assign(fields, { column_id: column, current_column: to.name, rank: rank + '\u0000'.repeat(i + 1) }, ticket.column_id !== column && { column_entered_at: entered });
    }
    if ('assignee' in more) list.push({ type: 'assign_ticket', data: { ...about, assignee: more.assignee ?? '' } });
    if ('priority' in more) list.push({ type: 'update_ticket', data: { ...about, priority: more.priority } });
    if (Object.keys(fields).length) over.push([ticket.id, fields]);
  });
  if (!list.length) return;
  const [one] = tickets;
  const text = tickets.length > 1 ? t('move.done_n', { n: tickets.length, column: to.name }) : t('move.done', { key: one.key, column: to.name });
  const refused = (problem) => {
    const full = problem.code === 'wip_limit';
    const anyway = full && store.can('manage');
    const why = full ? t(anyway ? 'move.full' : 'move.full_ask', { column: to.name, limit: to.wip_limit }) : refusal(problem);
    const said = tickets.length > 1 ? t('move.refused_n', { n: tickets.length, why }) : t('move.refused', { key: one.key, column: one.current_column, why });
    toast(said, {
      kind: 'red', life: 12_000,
      ...(anyway && { label: t('move.anyway'), action: () => moveTickets(store, ids, { column, before, after, by, lane, overLimit: true }) }),
    });
  };
  if (list.length > 1) {
    commands(store, list, { text, over, refused });
    return;
  }
  // One change goes by its own route.
  const { type, data: { ticket: ref, ...body } } = list[0];
  const key = act({
    ...{ move_ticket: { path: `/api/tickets/${ref}/move` }, assign_ticket: { path: `/api/tickets/${ref}/assign` }, update_ticket: { method: 'PATCH', path: `/api/tickets/${ref}` } }[type],
    body, text,
    sent(reply) {
      store.live.peek().settle(key, [{ ticket_id: reply.id, version: reply.version }]);
      undoable(text, key);
    },
    refused(problem) {
      store.live.peek().lift(one.id, key);
      refused(problem);
    },
  });
  store.live.peek().lay(one.id, over[0][1], key);
}

// addTicket adds a ticket at the end of a column.
export async function addTicket(store, column, title, more = {}) {
  const key = own(newKey());
  const ticket = await request('POST', '/api/tickets', { body: { board_id: String(store.id), title, column: String(column.id), ...more }, key });
  last.value = { key, text: title };
  undoable(t('move.added', { key: ticket.key, column: column.name }), key);
  return ticket;
}
