// A board as the page draws it: a fold, what the person has moved and the server has
// not confirmed yet laid over it, and signals that tell the drawn parts of what
// differs. Work per event grows with what changed, not with the board.
import { batch, signal } from '../vendor/preact.js';
import { byRank, Fold } from '../lib/fold.js';

const RING = 2000; // ms, as --ring

export class Model {
  constructor(snapshot) {
    this.fold = new Fold(snapshot.board.id).start(snapshot);
    this.laid = new Map(); // ticket id to what is laid over it, with the command's key
    this.board = signal(this.fold.board);
    this.revision = signal(0); // of the tickets
    this.position = signal(this.fold.position);
    this.cells = new Map(); // column id to a signal of ticket ids, in order
    this.signals = new Map(); // ticket id to its signal
    this.placed = new Map(); // ticket id to {column, rank} as it stands in cells
    this.moved = signal(new Map()); // ticket id to the name of who else moved it a moment ago
    this.isOurs = () => false; // tells whether an event is of this page's own command
    this.queue = [];
    this.frame = 0;
    this.flushed = null; // called after events were folded
    this.moving = null; // called with ids of tickets that are about to change their place
    this.drawn = null; // called after signals told of a change
    this.#placeAll();
  }

  // cell is the signal of a column's tickets.
  cell(column) {
    if (!this.cells.has(column)) this.cells.set(column, signal([]));
    return this.cells.get(column);
  }

  // ticket is the signal of one ticket; undefined in it = not on the board.
  ticket(id) {
    if (!this.signals.has(id)) this.signals.set(id, signal(this.look(id)));
    return this.signals.get(id);
  }

  // look is a ticket as it shows now.
  look(id) {
    const t = this.fold.tickets.get(id);
    if (!t || t.archived) return undefined;
    const over = this.laid.get(id);
    if (!over) return t;
    return over.fields.archived ? undefined : { ...t, ...over.fields };
  }

  byKey(key) {
    return this.look(this.fold.byKey.get(key));
  }

  // all are the tickets on the board, in no order.
  *all() {
    for (const id of this.placed.keys()) yield this.look(id);
  }

  // take queues events; they are drawn together in the next frame.
  take(events) {
    for (const e of events) this.queue.push(e);
    this.frame ||= requestAnimationFrame(() => this.flush());
    // A hidden page gets no frames.
    if (document.hidden && this.queue.length > 500) this.flush();
  }

  flush() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const events = this.queue;
    this.queue = [];
    const touched = new Set();
    const moved = new Map();
    for (const e of events) {
      if (e.type === 'ticket_moved' && e.data && e.position > this.fold.position && !this.isOurs(e)) moved.set(e.ticket_id, e.actor.name);
      this.fold.apply(e);
      const over = this.laid.get(e.ticket_id);
      if (over && over.key === e.command_id) {
        this.laid.delete(e.ticket_id);
        touched.add(e.ticket_id);
      }
    }
    if (moved.size) {
      this.moving?.([...moved.keys()]);
      this.#ring(moved);
    }
    this.redraw(touched);
    this.flushed?.(events);
  }

  // #ring remembers for two seconds who moved what.
  #ring(moved) {
    this.moved.value = new Map([...this.moved.peek(), ...moved]);
    setTimeout(() => {
      const left = new Map(this.moved.peek());
      for (const id of moved.keys()) left.delete(id);
      this.moved.value = left;
    }, RING);
  }

  // put takes a ticket in full from the server; null = it is gone.
  put(id, ticket) {
    this.fold.put(id, ticket);
    this.redraw();
  }

  // lay shows fields of a ticket before the server has confirmed the command.
  lay(id, fields, key) {
    this.laid.set(id, { fields, key });
    this.redraw(new Set([id]));
  }

  // lift takes what was laid over a ticket away, unless a later command did it.
  lift(id, key) {
    if (this.laid.get(id)?.key !== key) return;
    this.laid.delete(id);
    this.redraw(new Set([id]));
  }

  // settle forgets what is laid by a command that was carried out, where its events
  // are in the fold already, or did not touch the ticket: nothing else would. events
  // are {ticket_id, version}; those that are still to come lift it themselves.
  settle(key, events) {
    const versions = new Map();
    for (const e of events) versions.set(e.ticket_id, Math.max(e.version, versions.get(e.ticket_id) ?? 0));
    for (const [id, over] of this.laid) {
      if (over.key !== key) continue;
      const version = versions.get(id);
      if (!version || (this.fold.tickets.get(id)?.version ?? 0) >= version) this.lift(id, key);
    }
  }

  redraw(touched = new Set()) {
    const changes = this.fold.takeChanges();
    for (const id of changes.tickets) touched.add(id);
    batch(() => {
      if (changes.board) this.board.value = this.fold.board;
      if (touched.size > 300) {
        for (const id of touched) if (this.signals.has(id)) this.signals.get(id).value = this.look(id);
        this.#placeAll();
      } else if (touched.size) this.#place(touched);
      if (touched.size) this.revision.value++;
      this.position.value = this.fold.position;
    });
    this.drawn?.();
  }

  #place(touched) {
    const lists = new Map();
    const list = (column) => {
      if (!lists.has(column)) lists.set(column, this.cell(column).peek().slice());
      return lists.get(column);
    };
    for (const id of touched) {
      const t = this.look(id);
      const was = this.placed.get(id);
      if (this.signals.has(id)) this.signals.get(id).value = t;
      if (was && t && was.column === t.column_id && was.rank === t.rank) continue;
      if (was) {
        const ids = list(was.column);
        ids.splice(ids.indexOf(id), 1);
        this.placed.delete(id);
      }
      if (t) {
        const ids = list(t.column_id);
        ids.splice(this.#seat(ids, t), 0, id);
        this.placed.set(id, { column: t.column_id, rank: t.rank, id });
      }
    }
    for (const [column, ids] of lists) this.cell(column).value = ids;
  }

  // #seat is where a ticket belongs among sorted ids.
  #seat(ids, t) {
    let low = 0;
    let high = ids.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (byRank(this.placed.get(ids[middle]), t) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #placeAll() {
    const lists = new Map(this.fold.board ? this.fold.board.columns.map((c) => [c.id, []]) : []);
    this.placed.clear();
    for (const id of this.fold.tickets.keys()) {
      const t = this.look(id);
      if (!t) continue;
      if (!lists.has(t.column_id)) lists.set(t.column_id, []);
      const seat = { column: t.column_id, rank: t.rank, id };
      this.placed.set(id, seat);
      lists.get(t.column_id).push(seat);
    }
    for (const column of this.cells.keys()) if (!lists.has(column)) lists.set(column, []);
    for (const [column, seats] of lists) {
      seats.sort(byRank);
      this.cell(column).value = seats.map((s) => s.id);
    }
  }
}
