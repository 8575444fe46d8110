// The focus walks over cards with the arrow keys. One card is in the tab order; a card
// that is not drawn yet is drawn first; and a card that goes, or moves, while it has
// the focus does not lose it.
import { place } from '../lib/router.js';

const drawn = (id) => document.querySelector(`.board [data-ticket="${id}"]`);

function cellOf({ column, lane }) {
  return document.querySelector(lane === null ? `.cards[data-cell="${column}"]` : `.cell[data-cell="${column}"][data-lane="${CSS.escape(lane)}"]`);
}

const frame = () => new Promise((go) => requestAnimationFrame(go));

// focusCard puts the focus on a card.
export async function focusCard(view, id, { scroll = true } = {}) {
  const seat = view.seat(id);
  if (!seat) return false;
  view.roving.value = id;
  if (!drawn(id)) {
    const cell = cellOf(seat);
    const ids = view.cell(seat.column, seat.lane).peek();
    let at = seat.index;
    for (const block of cell?.querySelectorAll('.block') ?? []) {
      at -= Number(block.dataset.count);
      if (at >= 0) continue;
      block.show();
      break;
    }
    await frame();
    if (ids.length && !drawn(id)) await frame();
  }
  const card = drawn(id);
  if (!card) return false;
  card.focus({ preventScroll: true });
  if (scroll) card.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  return true;
}

// step is the card one further in a direction, or null. From no card it is the first.
export function step(view, direction) {
  const from = view.roving.peek();
  const seat = from && view.seat(from);
  if (!seat) return view.stop.peek();
  const cells = view.columns();
  const ids = view.cell(seat.column, seat.lane).peek();
  const at = cells.findIndex(([column, lane]) => column === seat.column && lane === seat.lane);
  const width = view.store.shown.peek().board.peek().columns.length;
  switch (direction) {
    case 'first': return ids[0];
    case 'last': return ids.at(-1);
    case 'up': case 'down': {
      const by = direction === 'down' ? 1 : -1;
      if (ids[seat.index + by]) return ids[seat.index + by];
      // On to the same column of the next lane that has cards there.
      for (let i = at + by * width; i >= 0 && i < cells.length; i += by * width) {
        const next = view.cell(...cells[i]).peek();
        if (next.length) return by > 0 ? next[0] : next.at(-1);
      }
      return null;
    }
    default: {
      const by = direction === 'right' ? 1 : -1;
      for (let i = at + by; i >= 0 && i < cells.length && Math.floor(i / width) === Math.floor(at / width); i += by) {
        const next = view.cell(...cells[i]).peek();
        if (next.length) return beside(from, cells[i], next, seat.index);
      }
      return null;
    }
  }
}

// beside is the card of a cell that is at the height of another card.
function beside(from, [column, lane], ids, index) {
  const box = drawn(from)?.getBoundingClientRect();
  const cell = cellOf({ column, lane });
  let best = null;
  let away = Infinity;
  if (box && cell) {
    const clip = cell.getBoundingClientRect();
    for (const card of cell.querySelectorAll('[data-ticket]')) {
      const other = card.getBoundingClientRect();
      if (other.bottom < clip.top || other.top > clip.bottom) continue;
      const distance = Math.abs(other.top - box.top);
      if (distance < away) [best, away] = [Number(card.dataset.ticket), distance];
    }
  }
  return best ?? ids[Math.min(index, ids.length - 1)];
}

// keeper watches the focus on a board, and mends it. It returns {mend, end}.
export function keeper(view, root) {
  let kept = null; // the card that has the focus, also after it was taken off the page
  let seat = null;
  const came = (event) => {
    const card = event.target.closest?.('[data-ticket]');
    kept = card && root.contains(card) ? Number(card.dataset.ticket) : null;
    if (kept) {
      view.roving.value = kept;
      seat = view.seat(kept);
    }
  };
  // Whoever clicks on nothing wants the focus nowhere.
  const pressed = (event) => {
    if (!event.target.closest?.('[data-ticket]')) kept = null;
  };
  document.addEventListener('focusin', came);
  document.addEventListener('pointerdown', pressed);
  let asked = 0;
  return {
    mend() {
      if (!kept || asked) return;
      asked = requestAnimationFrame(() => {
        asked = 0;
        if (!kept || (document.activeElement && document.activeElement !== document.body)) {
          if (kept) seat = view.seat(kept) ?? seat;
          return;
        }
        if (view.seat(kept)) {
          focusCard(view, kept, { scroll: false });
          return;
        }
        if (!seat) return;
        const ids = view.cell(seat.column, seat.lane).peek();
        const next = ids[Math.min(seat.index, ids.length - 1)] ?? view.stop.peek();
        if (next) focusCard(view, next, { scroll: false });
      });
    },
    end() {
      cancelAnimationFrame(asked);
      document.removeEventListener('focusin', came);
      document.removeEventListener('pointerdown', pressed);
    },
  };
}

// focusColumn is the column that the focus is in, else the first.
export function focusColumn(view) {
  const seat = view.roving.peek() && view.seat(view.roving.peek());
  return seat?.column ?? view.store.shown.peek().board.peek().columns[0]?.id;
}

export const onTicket = () => /\/tickets\//.test(place.peek().path);
