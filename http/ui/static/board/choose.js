// The actions on cards, and the lists to choose from that some of them begin with. Keys,
// the palette, the selection bar and the cards all call these.
import { get } from '../lib/api.js';
import { toast } from '../lib/parts.js';
import { go } from '../lib/router.js';
import { me } from '../lib/session.js';
import { t } from '../lib/strings.js';
import { act, undoable } from './actions.js';
import { change } from './many.js';
import { ask } from './palette.js';

const PRIORITIES = ['urgent', 'high', 'medium', 'low'];
const ticketOf = ({ store }, id) => store.shown.peek().look(id);
const named = (ui, ids) => (ids.length === 1 ? ticketOf(ui, ids[0])?.key : t('select.count', { n: ids.length }));

export function open({ store }, id) {
  const model = store.shown.peek();
  go(`/boards/${model.board.peek().key}/tickets/${model.look(id).key}${location.search}`);
}

export const assign = ({ store }, ids, assignee) => change(store, ids, 'assign', { assignee });
export const archive = ({ store }, ids) => change(store, ids, 'archive');

export const mayRelease = (store, ticket) => ticket.lease?.holder_id === me.value?.id || store.can('manage');

// claim takes a ticket, or gives back one that is held.
export function claim({ store }, id) {
  const ticket = store.live.peek().look(id);
  const { key } = ticket;
  if (!ticket.lease) {
    act({ path: `/api/tickets/${id}/claim`, body: {}, text: t('quick.claimed', { key }), sent: () => toast(t('quick.claimed', { key }), { kind: 'green' }) });
    return;
  }
  if (!mayRelease(store, ticket)) {
    toast(t('quick.held', { key, name: ticket.lease.holder }), { kind: 'red' });
    return;
  }
  const command = act({ path: `/api/tickets/${id}/release`, body: {}, text: t('quick.released', { key }), sent: () => undoable(t('quick.released', { key }), command) });
}

// askMove lists the columns. `at` is the place of what was pressed.
export function askMove(ui, ids, at) {
  const model = ui.store.live.peek();
  const from = new Set(ids.map((id) => model.look(id)?.column_id));
  const { columns } = model.board.peek();
  ask({
    title: t('choose.move', { what: named(ui, ids) }), at,
    start: from.size === 1 ? Math.min(columns.length - 1, columns.findIndex((c) => from.has(c.id)) + 1) : 0,
    items: columns.map((c) => {
      const n = model.cell(c.id).peek().length;
      return { label: c.name, hint: c.wip_limit ? t('choose.limit', { n, limit: c.wip_limit }) : String(n), on: from.size === 1 && from.has(c.id), run: () => change(ui.store, ids, 'move', { column: c }) };
    }),
  });
}

// askAssign lists the members of the board, oneself first.
export async function askAssign(ui, ids, at) {
  const model = ui.store.live.peek();
  const names = new Map([[me.value.username, 'human']]);
  for (const x of model.all()) if (x.assignee && !names.has(x.assignee)) names.set(x.assignee, 'human');
  try {
    for (const m of (await get(`/api/boards/${ui.store.id}/members`, { tries: 1 })).items) names.set(m.name, m.role === 'agent' ? 'agent' : 'human');
  } catch {
    // Those that are known will do.
  }
  const has = new Set(ids.map((id) => model.look(id)?.assignee ?? ''));
  const item = (name, label, icon) => ({ label, icon, on: has.size === 1 && has.has(name), run: () => assign(ui, ids, name) });
  ask({
    title: t('choose.assign', { what: named(ui, ids) }), at,
    items: [...[...names].map(([name, kind]) => item(name, name === me.value.username ? t('choose.me', { name }) : name, kind === 'agent' ? 'agent' : 'person')), item('', t('filter.nobody'), 'close')],
  });
}

// askLabel lists the labels of the board, and takes a new one.
export function askLabel(ui, ids, at) {
  const model = ui.store.live.peek();
  const labels = new Set();
  for (const x of model.all()) for (const l of x.labels) labels.add(l);
  const tickets = ids.map((id) => model.look(id)).filter(Boolean);
  ask({
    title: t('choose.label', { what: named(ui, ids) }), at,
    items: [...labels].sort((a, b) => a.localeCompare(b)).map((label) => {
      const on = tickets.every((x) => x.labels.includes(label));
      return { label, on, run: () => change(ui.store, ids, 'label', { label, off: on }) };
    }),
    free: (label) => ({ label: t('choose.new_label', { label }), icon: 'add', run: () => change(ui.store, ids, 'label', { label }) }),
  });
}

export function askPriority(ui, ids, at) {
  const has = new Set(ids.map((id) => ticketOf(ui, id)?.priority));
  ask({
    title: t('choose.priority', { what: named(ui, ids) }), at,
    items: PRIORITIES.map((priority) => ({ label: t(`priority.${priority}`), icon: priority === 'medium' ? 'filter' : priority, on: has.size === 1 && has.has(priority), run: () => change(ui.store, ids, 'priority', { priority }) })),
  });
}

// askAboutCard lists what can be done to a card, where nothing hovers.
export function askAboutCard(ui, id, at) {
  const { store, view } = ui;
  const ticket = ticketOf(ui, id);
  const later = (task) => () => setTimeout(task); // the next list opens once this one is shut
  ask({
    title: `${ticket.key} ${ticket.title}`, at, plain: true,
    items: [
      { label: t('keys.open'), icon: 'right', run: () => open(ui, id) },
      store.can('change', ticket) && { label: t('keys.move'), icon: 'move', run: later(() => askMove(ui, [id], at)) },
      store.can('manage') && { label: t('keys.assign_me'), icon: 'person', run: () => assign(ui, [id], me.value.username) },
      store.can('manage') && { label: t('keys.assign'), icon: 'person', run: later(() => askAssign(ui, [id], at)) },
      store.can('claim') && (!ticket.lease || mayRelease(store, ticket)) && { label: t(ticket.lease ? 'choose.release' : 'choose.claim'), icon: ticket.lease ? 'out' : 'clock', run: () => claim(ui, id) },
      store.can('change', ticket) && { label: t('keys.priority'), icon: 'high', run: later(() => askPriority(ui, [id], at)) },
      store.can('change', ticket) && { label: t('keys.label'), icon: 'edit', run: later(() => askLabel(ui, [id], at)) },
      { label: t(view.picked.peek().has(id) ? 'select.off' : 'select.on'), icon: 'check', run: () => toggle(view, id) },
      store.can('manage') && { label: t('keys.archive'), icon: 'archive', danger: true, run: () => archive(ui, [id]) },
    ].filter(Boolean),
  });
}

// toggle selects a card, or no longer.
export function toggle(view, id) {
  const picked = new Set(view.picked.peek());
  if (!picked.delete(id)) picked.add(id);
  view.picked.value = picked;
  view.anchor = id;
}
