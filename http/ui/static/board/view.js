// What one person sees of a board and points at: which cards pass the filter, in which
// lanes, which are selected, and which one has the focus. The board's own state is in
// the Model; everything here is derived from it, from the address, or the person's own.
import { computed, signal } from '../vendor/preact.js';
import { place } from '../lib/router.js';
import { Filter } from './filter.js';
import { laneNames, laneOf, LANES } from './lane.js';

const NONE = [];
export const same = (a, b) => a === b || (a.length === b.length && a.every((x, i) => x === b[i]));

export class View {
  constructor(store) {
    this.store = store;
    this.filter = new Filter(store);
    this.by = computed(() => {
      const by = place.value.query.get('lanes');
      return LANES.includes(by) ? by : null;
    });
    this.folded = signal(new Set()); // lanes
    this.picked = signal(new Set()); // ticket ids
    this.anchor = null; // where a range of the selection begins
    this.roving = signal(null); // the card that had the focus last
    this.hover = signal(null);
    this.lifted = signal(null); // {ids, column, lane, index}: moved by keyboard, not dropped yet
    this.cells = new WeakMap(); // Model to its computed cells
    this.lanes = computed(() => this.#lanes());
    // The one card in the tab order.
    this.stop = computed(() => {
      const id = this.roving.value;
      if (id && this.seat(id)) return id;
      for (const [column, lane] of this.columns()) if (this.cell(column, lane).value.length) return this.cell(column, lane).value[0];
      return null;
    });
    // Where a lifted card would go: before this card, null = at the end of the cell.
    this.ghost = computed(() => {
      const l = this.lifted.value;
      return l ? { column: l.column, lane: l.lane, before: this.others(l.column, l.lane, l.ids)[l.index] ?? null } : null;
    });
  }

  // cell is a signal of the ids that show in a column (and lane), in order.
  cell(column, lane = null) {
    const model = this.store.shown.value;
    if (!this.cells.has(model)) this.cells.set(model, new Map());
    const cells = this.cells.get(model);
    const name = lane === null ? column : `${this.by.value} ${column} ${lane}`;
    if (!cells.has(name)) {
      let kept = NONE;
      cells.set(name, computed(() => {
        const next = lane === null ? this.#passing(model, column) : this.#split(column).value.get(lane) ?? NONE;
        if (!same(kept, next)) kept = next;
        return kept;
      }));
    }
    return cells.get(name);
  }

  #passing(model, column) {
    const ids = model.cell(column).value;
    const passes = this.filter.passes.value;
    return passes ? ids.filter((id) => passes.has(id)) : ids;
  }

  // #split sorts the cards of a column into lanes.
  #split(column) {
    const model = this.store.shown.value;
    const cells = this.cells.get(model);
    const name = `split ${column}`;
    if (!cells.has(name)) {
      cells.set(name, computed(() => {
        model.revision.value; // a field may change where the order does not
        const by = this.by.value;
        const lanes = new Map();
        for (const id of this.cell(column).value) {
          const lane = laneOf(model.look(id), by);
          if (!lanes.has(lane)) lanes.set(lane, []);
          lanes.get(lane).push(id);
        }
        return lanes;
      }));
    }
    return cells.get(name);
  }

  #lanes() {
    const model = this.store.shown.value;
    const by = this.by.value;
    if (!by || !model) return null;
    const counts = new Map();
    for (const c of model.board.value.columns) {
      this.cell(c.id).value;
      for (const [lane, ids] of this.#split(c.id).value) counts.set(lane, (counts.get(lane) ?? 0) + ids.length);
    }
    return laneNames(by, counts).map((name) => ({ name, count: counts.get(name) ?? 0 }));
  }

  // columns are the cells that are open, as [column, lane], in the order of the board.
  columns() {
    const columns = this.store.shown.value.board.value.columns;
    const lanes = this.lanes.value?.filter((l) => !this.folded.value.has(l.name)).map((l) => l.name) ?? [null];
    return lanes.flatMap((lane) => columns.map((c) => [c.id, lane]));
  }

  // seat is where a ticket shows: {column, lane, index}; null = it does not.
  seat(id) {
    const ticket = this.store.shown.value.look(id);
    if (!ticket) return null;
    const lane = this.by.value ? laneOf(ticket, this.by.value) : null;
    if (lane !== null && this.folded.value.has(lane)) return null;
    const index = this.cell(ticket.column_id, lane).value.indexOf(id);
    return index < 0 ? null : { column: ticket.column_id, lane, index };
  }

  // others are the ids of a cell without those that move.
  others(column, lane, ids) {
    return this.cell(column, lane).value.filter((id) => !ids.includes(id));
  }

  // chosen are the selected tickets that still show, in the order of the board.
  chosen() {
    const picked = this.picked.value;
    if (!picked.size) return NONE;
    return this.columns().flatMap(([column, lane]) => this.cell(column, lane).value.filter((id) => picked.has(id)));
  }

  // targets are what an action is about: the selection, else the card with the focus.
  targets() {
    const chosen = this.chosen();
    if (chosen.length) return chosen;
    const id = this.roving.value;
    return id && this.seat(id) ? [id] : NONE;
  }
}
