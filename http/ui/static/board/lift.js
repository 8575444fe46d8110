// Moving cards by keyboard: Space lifts the card with the focus (or the selection), the
// arrows carry it, Space drops it and Escape puts it back. Where it would go is drawn
// as an outline, and said.
import { say } from '../lib/parts.js';
import { t } from '../lib/strings.js';
import { moveTickets } from './actions.js';
import { focusCard } from './focus.js';
import { laneTitle } from './lane.js';

const what = (view, ids) => (ids.length === 1 ? view.store.live.peek().look(ids[0])?.key : t('select.count', { n: ids.length }));

function where(view) {
  const { column, lane, index, ids } = view.lifted.peek();
  const { name } = view.store.live.peek().board.peek().columns.find((c) => c.id === column);
  const place = t('lift.at', { column: name, i: index + 1, n: view.others(column, lane, ids).length + 1 });
  return lane === null ? place : `${laneTitle(view.by.peek(), lane)}, ${place}`;
}

export function lift({ store, view }) {
  const ids = view.targets();
  const id = view.roving.peek();
  if (!ids.length) return;
  const refused = ids.find((x) => !store.can('change', store.live.peek().look(x)));
  if (refused) {
    say(t('lift.not', { key: store.live.peek().look(refused).key }));
    return;
  }
  const seat = view.seat(ids.includes(id) ? id : ids[0]);
  const before = view.cell(seat.column, seat.lane).peek().slice(0, seat.index).filter((x) => !ids.includes(x));
  view.lifted.value = { ids, column: seat.column, lane: seat.lane, index: before.length };
  say(t('lift.up', { what: what(view, ids), where: where(view) }));
  show();
}

export function carry({ view }, direction) {
  const l = view.lifted.peek();
  const cells = view.columns();
  const width = view.store.live.peek().board.peek().columns.length;
  const at = cells.findIndex(([column, lane]) => column === l.column && lane === l.lane);
  const n = view.others(l.column, l.lane, l.ids).length;
  let next = { ...l };
  const enter = (i, index) => {
    if (!cells[i]) return;
    const [column, lane] = cells[i];
    next = { ...l, column, lane, index: Math.min(index, view.others(column, lane, l.ids).length) };
  };
  switch (direction) {
    case 'up':
      if (l.index > 0) next.index--;
      else enter(at - width, Infinity);
      break;
    case 'down':
      if (l.index < n) next.index++;
      else enter(at + width, 0);
      break;
    case 'first': next.index = 0; break;
    case 'last': next.index = n; break;
    default: {
      const i = at + (direction === 'right' ? 1 : -1);
      if (Math.floor(i / width) === Math.floor(at / width)) enter(i, l.index);
    }
  }
  view.lifted.value = next;
  say(where(view));
  show();
}

// show brings the outline into sight; its block may not be drawn.
function show() {
  requestAnimationFrame(() => document.querySelector('[data-ghost]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' }));
}

export function drop({ store, view }) {
  const l = view.lifted.peek();
  const others = view.others(l.column, l.lane, l.ids);
  const said = t('lift.down', { what: what(view, l.ids), where: where(view) });
  const before = others[l.index];
  // At the end of what shows, where others are hidden, is after the last that shows.
  const after = before === undefined && (view.filter.passes.peek() || l.lane !== null) ? others.at(-1) : undefined;
  const focused = view.roving.peek();
  view.lifted.value = null;
  moveTickets(store, l.ids, { column: l.column, before, after, by: view.by.peek(), lane: l.lane });
  say(said);
  focusCard(view, l.ids.includes(focused) ? focused : l.ids[0]);
}

export function putBack({ view }) {
  const { ids } = view.lifted.peek();
  view.lifted.value = null;
  say(t('lift.back', { what: what(view, ids) }));
  if (view.roving.peek()) focusCard(view, view.roving.peek());
}
