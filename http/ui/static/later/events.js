// The part of a board's log that was fetched: stretches without gaps.
import { get } from '../lib/api.js';

const PAGE = 1000;
const BACK = 200;
const MOST = 20_000; // events that are kept

// first is the index of the first event above a position.
function first(events, position) {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (events[middle].position <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class Events {
  constructor(board) {
    this.board = board;
    this.seen = 0; // the last position that the live feed told of: nothing after it is asked for
    this.asked = new Map(); // position to the page after it that is on its way
    this.stretches = []; // {from, to, events}: all events of the board with from < position <= to
  }

  // add takes a stretch in, and joins it with those that it touches.
  add(fresh) {
    let { from, to, events } = fresh;
    const apart = [];
    for (const s of this.stretches) {
      if (s.to < from || s.from > to) {
        apart.push(s);
        continue;
      }
      events = [...s.events.slice(0, first(s.events, from)), ...events, ...s.events.slice(first(s.events, to))];
      from = Math.min(from, s.from);
      to = Math.max(to, s.to);
    }
    const joined = { from, to, events };
    const kept = [...apart, joined].reduce((n, s) => n + s.events.length, 0);
    this.stretches = kept > MOST ? [fresh] : [...apart, joined];
  }

  forget() {
    this.stretches = [];
  }

  #around(position) {
    return this.stretches.find((s) => s.from <= position && position <= s.to);
  }

  // between lists the events with after < position <= upTo; null where some are not
  // here, or they are more than most.
  between(after, upTo, most) {
    const s = this.#around(after);
    if (!s || s.to < upTo) return null;
    const a = first(s.events, after);
    const b = first(s.events, upTo);
    return b - a > most ? null : s.events.slice(a, b);
  }

  // at is the last event up to a position; undefined where it is not here.
  at(position) {
    const s = this.stretches.find((x) => x.from < position && position <= x.to);
    return s?.events[first(s.events, position) - 1];
  }

  // when is the last event up to a time (milliseconds), where the log is here from its
  // beginning to that time.
  when(time) {
    const s = this.stretches.find((x) => x.from === 0);
    if (!s?.events.length || new Date(s.events.at(-1).time) < time) return undefined;
    let low = 0;
    let high = s.events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (new Date(s.events[middle].time) <= time) low = middle + 1;
      else high = middle;
    }
    return s.events[low - 1];
  }

  // upTo lists the last n events up to a position, as far as they are here.
  upTo(position, n) {
    const s = this.stretches.find((x) => x.from < position && position <= x.to);
    if (!s) return [];
    const end = first(s.events, position);
    return s.events.slice(Math.max(0, end - n), end);
  }

  // known lists what is here of the events after a position.
  known(position) {
    const s = this.#around(position);
    return s ? s.events.slice(first(s.events, position)) : [];
  }

  // after lists the events after a position: what is here, else a page of the server.
  async after(position) {
    const known = this.known(position);
    if (known.length || position >= this.seen) return known;
    await this.#page(position);
    return this.known(position);
  }

  // more fetches the page after what is here.
  async more(position) {
    const s = this.#around(position);
    if (!s || s.to >= this.seen) return;
    await this.#page(s.to);
  }

  // #page fetches the events after a position, once for all who ask meanwhile, and
  // returns how many there were.
  #page(after) {
    if (!this.asked.has(after)) {
      const page = get(`/api/events?board=${this.board}&after=${after}&limit=${PAGE}`).then(({ items }) => {
        if (items.length) this.add({ from: after, to: items.at(-1).position, events: items });
        return items.length;
      });
      this.asked.set(after, page.finally(() => this.asked.delete(after)));
    }
    return this.asked.get(after);
  }

  // before lists events before a position, the latest last; empty at the beginning.
  async before(position, signal) {
    const known = this.upTo(position - 1, BACK);
    if (known.length) return known;
    if (this.stretches.some((s) => s.from < position && s.to >= position - 1 && s.from === 0)) return [];
    const page = await get(`/api/events?board=${this.board}&before=${position}&order=desc&limit=${BACK}`, { signal });
    const events = page.items.reverse();
    this.add({ from: events.length < BACK ? 0 : events[0].position - 1, to: position - 1, events });
    return events;
  }

  // fill fetches everything.
  async fill() {
    for (let n = PAGE; n === PAGE;) n = await this.#page(this.stretches.find((s) => s.from === 0)?.to ?? 0);
  }
}
