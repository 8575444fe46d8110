// One change to many tickets. It is tried as one command, all or none, which one undo
// takes back. Where that is refused, each ticket is asked for by itself, and whoever
// asked is told which were refused and why.
import { signal } from '../vendor/preact.js';
import { newKey, post } from '../lib/api.js';
import { toast } from '../lib/parts.js';
import { refusal, t } from '../lib/strings.js';
import { commands, last, own, undoable } from './actions.js';

const BULK = 100; // tickets of one bulk request

// refused is what a change was refused for: {text, items: [{key, why, code}], again}.
// again, where it is there, does it all the same.
export const refused = signal(null);

// CHANGES: order is the command for one ticket (null = nothing to do), over what shows
// meanwhile, bulk the route that takes many and answers for each.
const CHANGES = {
  move: ({ column, overLimit }, model) => ({
    order: (x) => (x.column_id === column.id ? null : { type: 'move_ticket', data: { ticket: String(x.id), column: String(column.id), ...(overLimit && { over_limit: true }) } }),
    over: (x, i) => ({
      column_id: column.id, current_column: column.name, column_entered_at: new Date().toISOString(),
      rank: (model.look(model.cell(column.id).peek().at(-1))?.rank ?? '') + '\u0000'.repeat(i + 1),
    }),
    bulk: ['move', { column: String(column.id), ...(overLimit && { over_limit: true }) }],
    text: (n) => t('move.done_n', { n, column: column.name }),
  }),
  assign: ({ assignee }) => ({
    order: (x) => ((x.assignee ?? '') === assignee ? null : { type: 'assign_ticket', data: { ticket: String(x.id), assignee } }),
    over: () => ({ assignee: assignee || null }),
    bulk: ['assign', { assignee: assignee || null }],
    text: (n) => (assignee ? t('select.assigned', { n, name: assignee }) : t('select.unassigned', { n })),
  }),
  priority: ({ priority }) => ({
    order: (x) => (x.priority === priority ? null : { type: 'update_ticket', data: { ticket: String(x.id), priority } }),
    over: () => ({ priority }),
    bulk: ['priority', { priority }],
    text: (n) => t('select.prioritised', { n, priority: t(`priority.${priority}`) }),
  }),
  label: ({ label, off }) => ({
    order: (x) => (x.labels.includes(label) === !off ? null : { type: 'update_ticket', data: { ticket: String(x.id), labels: off ? x.labels.filter((l) => l !== label) : [...x.labels, label] } }),
    over: (x) => ({ labels: off ? x.labels.filter((l) => l !== label) : [...x.labels, label] }),
    text: (n) => t(off ? 'select.unlabelled' : 'select.labelled', { n, label }),
  }),
  archive: () => ({
    order: (x) => ({ type: 'archive_ticket', data: { ticket: String(x.id) } }),
    over: () => ({ archived: true }),
    text: (n, [x]) => (n === 1 ? t('keys.archived', { key: x.key }) : t('select.archived', { n })),
  }),
};

// change does one of CHANGES to tickets (ids).
export function change(store, ids, kind, options = {}) {
  const model = store.live.peek();
  const what = CHANGES[kind](options, model);
  const tickets = ids.map((id) => model.look(id)).filter((x) => x && what.order(x));
  if (!tickets.length) {
    toast(t('select.nothing'));
    return;
  }
  commands(store, tickets.map(what.order), {
    text: what.text(tickets.length, tickets),
    over: tickets.map((x, i) => [x.id, what.over(x, i)]),
    refused(problem) {
      if (tickets.length > 1) apart(store, tickets, what, kind, options);
      else tell(store, ids, kind, options, what.text(1, tickets), [outcome(tickets[0], problem, options)], []);
    },
  });
}

const outcome = (ticket, problem, { column } = {}) => ({
  id: ticket.id, key: ticket.key, code: problem.code,
  why: problem.code === 'wip_limit' && column ? t('move.full', { column: column.name, limit: column.wip_limit }) : refusal(problem),
});

// apart asks for each ticket by itself.
async function apart(store, tickets, what, kind, options) {
  const done = []; // ids of commands
  const items = [];
  const note = (ticket, key, problem) => (problem ? items.push(outcome(ticket, problem, options)) : done.push(key));
  for (let i = 0; i < tickets.length; i += BULK) {
    const part = tickets.slice(i, i + BULK);
    const key = own(newKey());
    try {
      if (what.bulk) {
        const reply = await post(`/api/bulk/tickets/${what.bulk[0]}`, { tickets: part.map((x) => String(x.id)), ...what.bulk[1] }, { key });
        reply.items.forEach((x, j) => note(part[j], `${key}#${j}`, x.ok ? null : x.error));
        continue;
      }
      for (const [j, ticket] of part.entries()) {
        const id = own(`${key}#${j}`);
        await post('/api/commands', what.order(ticket), { key: id }).then(() => note(ticket, id), (err) => note(ticket, id, err));
      }
    } catch (err) {
      for (const ticket of part) note(ticket, key, err);
    }
  }
  if (done.length) last.value = { key: done, text: what.text(done.length, tickets) };
  tell(store, tickets.map((x) => x.id), kind, options, what.text(done.length, tickets), items, done);
}

function tell(store, ids, kind, options, text, items, done) {
  if (done.length) undoable(text, done);
  if (!items.length) return;
  const limit = kind === 'move' && store.can('manage') && items.some((x) => x.code === 'wip_limit');
  if (!limit && ids.length === 1) {
    toast(items[0].why, { kind: 'red', life: 12_000 });
    return;
  }
  refused.value = {
    n: items.length, all: ids.length, items,
    again: limit ? () => change(store, items.map((x) => x.id), kind, { ...options, overLimit: true }) : null,
  };
}
