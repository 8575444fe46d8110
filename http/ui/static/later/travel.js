// Travelling: what the board was at a moment. A moment is reached by folding events
// forward from a state that is known, or by asking the server for a snapshot. Of a
// board with a short history all events are fetched once; every moment is then made
// here, and nothing is asked for again.
import { signal } from '../vendor/preact.js';
import { get, Problem } from '../lib/api.js';
import { Fold } from '../lib/fold.js';
import { setQuery } from '../lib/router.js';
import { refusal, t } from '../lib/strings.js';
import { Model } from '../board/model.js';
import { Events } from './events.js';

const SHORT = 3000; // events that are fetched at once
const FAR = 3000; // events that are rather folded than a snapshot asked for
const SHOTS = 12; // snapshots that are kept
const NEAR = 150; // how far before a step back the snapshot lies, for the steps after it
const MAX_SECONDS = 10; // at the greatest speed, the whole log is played in this

export const SPEEDS = [1, 10, 60, Infinity];

export class Traveller {
  constructor(store) {
    this.store = store;
    this.events = new Events(store.id);
    this.shots = new Map(); // position to snapshot, the last used last
    this.pulse = signal(null);
    this.playing = signal(false);
    this.speed = signal(1);
    this.busy = signal(false);
    this.mark = signal(null); // {position, at}: where a comparison begins
    this.turn = 0;
    this.written = null; // the moment that we wrote into the address, which follows what is shown
    this.asked = []; // when snapshots were asked for, to keep within the server's limit
    this.want = null; // where the hand is, while the server is asked
    this.changed = () => {}; // called with the ids of tickets that a step changed
    let heard = store.live.peek();
    this.events.seen = heard.fold.position;
    this.listener = (events) => {
      let { seen } = this.events;
      const fresh = events.filter((e) => e.position > seen);
      if (!fresh.length) return;
      if (store.live.peek() !== heard) { // loaded anew: what came meanwhile was not told
        heard = store.live.peek();
        seen = fresh[0].position - 1;
      }
      this.events.add({ from: seen, to: fresh.at(-1).position, events: fresh });
      this.events.seen = fresh.at(-1).position;
      if (fresh.some((e) => e.type === 'data_redacted')) this.#forget();
      this.#refreshPulse();
    };
    store.listeners.add(this.listener);
  }

  close() {
    this.#stop();
    clearTimeout(this.teller);
    clearTimeout(this.pulseTimer);
    this.store.listeners.delete(this.listener);
  }

  // position is that of the event that was the last at the moment that is shown.
  get position() {
    return this.store.moment.peek()?.position ?? this.store.live.peek().fold.position;
  }

  // #forget drops what was fetched: words in it may be gone from the log by now.
  #forget() {
    this.events.forget();
    this.shots.clear();
    this.filling = false;
    this.distrust = true;
    if (this.store.past.peek()) this.go(this.position);
  }

  // loadPulse asks how much happened when; not again where that is known, unless told to.
  loadPulse(again = true) {
    if (again || !this.feeling) {
      this.feeling = get(`/api/boards/${this.store.id}/pulse?buckets=200`).then(
        (pulse) => { this.pulse.value = pulse; },
        () => { this.feeling = null; }, // the bar steps and plays without its ticks
      );
    }
    return this.feeling;
  }

  #refreshPulse() {
    if (!this.pulse.peek()) return;
    this.pulseTimer ??= setTimeout(() => {
      this.pulseTimer = undefined;
      this.loadPulse();
    }, 15_000);
  }

  // now leaves the past, at once.
  now() {
    this.#stop();
    this.store.past.value = null;
    this.store.moment.value = null;
    this.store.astray.value = null;
    this.#tell(null);
  }

  // go shows a moment: a position, or a time (RFC 3339). near: the next steps will be
  // close by. rest says whether this moment is where the hand rests: only then its event
  // is asked for.
  async go(target, { near = false, step = false, rest = () => true } = {}) {
    this.#stop();
    const turn = ++this.turn;
    this.abort = new AbortController();
    const { signal: stopped } = this.abort;
    try {
      if (!this.store.past.peek()) {
        // Before the first event nothing is asked for.
        await this.loadPulse(false);
        if (turn !== this.turn) return;
        if (this.#tooEarly(target)) return;
      }
      const fold = await this.#reach(target, near, stopped);
      if (turn !== this.turn) return;
      const touched = this.#show(fold);
      let event = this.events.at(fold.position);
      if (!event && rest()) {
        await this.events.before(fold.position + 1, stopped);
        if (turn !== this.turn) return;
        event = this.events.at(fold.position);
      }
      this.#stand(event, fold);
      if (step) this.changed(touched, event, true);
      this.#prefetch();
    } catch (err) {
      if (stopped.aborted) return;
      if (!(err instanceof Problem)) throw err;
      this.#lost(err);
    } finally {
      if (turn === this.turn) this.busy.value = false;
    }
  }

  // scrub is go for a slider: what is here is shown at once, and the server is asked for
  // one moment after the other, the latest that the hand came to.
  async scrub(target) {
    if (this.#fold(target)) return this.go(target);
    this.want = target;
    if (this.scrubbing) return undefined;
    this.scrubbing = true;
    try {
      while (this.want !== null) {
        await new Promise((go) => setTimeout(go, this.#pace()));
        const to = this.want;
        if (to === null) break;
        await this.go(to, { rest: () => this.want === null });
      }
    } finally {
      this.scrubbing = false;
    }
    return undefined;
  }

  // settle goes at once where the hand let go.
  settle() {
    if (this.want !== null) this.go(this.want);
  }

  // #pace is how long to wait before the next snapshot: the server allows a hundred
  // requests in a minute, and each moment may need two.
  #pace() {
    const minute = this.asked.filter((at) => at > Date.now() - 60_000).length;
    return minute < 12 ? 120 : minute < 25 ? 400 : 1500;
  }

  // step goes one event forward (1) or back (-1).
  async step(way) {
    const from = this.position;
    if (way > 0) {
      if (!this.store.past.peek()) return;
      const [next] = await this.#try(() => this.events.after(from)) ?? [];
      if (next) await this.go(next.position, { step: true });
      else this.now();
      return;
    }
    const before = await this.#try(() => this.events.before(from));
    if (!before) return;
    if (before.length) await this.go(before.at(-1).position, { near: true, step: true });
    else this.changed([], this.events.at(from), false);
  }

  // play goes on from the moment that is shown, or from the beginning.
  async play() {
    if (this.playing.peek()) return this.pause();
    if (!this.store.past.peek()) await this.go(this.pulse.peek()?.first.position ?? 1);
    if (!this.store.past.peek()) return undefined;
    this.#stop();
    this.playing.value = true;
    const turn = ++this.turn;
    let last = performance.now();
    let time = 0; // what has passed and was not played yet, in milliseconds of the log
    const frame = async (tick) => {
      if (turn !== this.turn) return;
      const speed = this.speed.peek();
      let list = this.events.known(this.position);
      if (!list.length) {
        list = await this.#try(() => this.events.after(this.position));
        if (turn !== this.turn) return;
        if (!list?.length) {
          this.playing.value = false;
          if (list) this.now();
          return;
        }
      } else if (list.length < 300) this.#try(() => this.events.more(this.position));
      time += Math.min(100, tick - last) * (speed === Infinity ? 0 : speed);
      last = tick;
      let n = speed === Infinity ? Math.ceil((this.pulse.peek()?.total ?? list.length) / (MAX_SECONDS * 60)) : 0;
      if (speed !== Infinity) {
        let at = new Date(this.store.moment.peek().at).getTime();
        for (; n < list.length; n++) {
          const next = new Date(list[n].time).getTime();
          const gap = Math.min(1000, next - at);
          if (gap > time) break;
          time -= gap;
          at = next;
        }
        // Where many events share one moment, a frame still shows some of them only.
        if (n > 200) n = 200;
      }
      if (n) {
        const { fold } = this.store.past.peek();
        for (const e of list.slice(0, n)) fold.apply(e);
        const touched = this.#show(fold);
        this.#stand(list[Math.min(n, list.length) - 1], fold);
        this.changed(touched, null, false);
      }
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    return undefined;
  }

  pause() {
    const was = this.playing.peek();
    this.#stop();
    const model = this.store.past.peek();
    // What a snapshot had left out came back meanwhile: the server knows it in full.
    if (was && model?.fold.stale.size) this.go(this.position);
  }

  #stop() {
    this.turn++;
    this.abort?.abort();
    this.want = null;
    this.playing.value = false;
    this.busy.value = false;
  }

  async #try(task) {
    try {
      return await task();
    } catch (err) {
      if (!(err instanceof Problem)) throw err;
      this.#lost(err);
      return null;
    }
  }

  // #reach makes the fold of a moment.
  async #reach(target, near, stopped) {
    const known = typeof target === 'number' && this.#fold(target);
    if (known) return known;
    this.busy.value = true;
    let base = target;
    if (near) base = this.events.upTo(target, NEAR)[0]?.position ?? target;
    const shot = await get(`/api/boards/${this.store.id}/snapshot?at=${encodeURIComponent(base)}`, { signal: stopped });
    this.asked = [...this.asked.slice(-60), Date.now()];
    this.shots.set(shot.position, shot);
    if (this.shots.size > SHOTS) this.shots.delete(this.shots.keys().next().value);
    if (base === target) return new Fold(this.store.id).start(shot);
    return this.#fold(target) ?? this.#reach(target, false, stopped);
  }

  // #fold makes the fold of a position from what is here, null where that is not
  // enough. A fold that misses tickets is none: they were archived in the snapshot.
  #fold(target) {
    const shown = this.distrust ? undefined : this.store.past.peek()?.fold;
    if (shown?.position === target && !shown.stale.size) return shown;
    let from = -1;
    for (const position of [0, ...this.shots.keys()]) {
      if (position > from && position <= target && (position === target || this.events.between(position, target, FAR))) from = position;
    }
    // From the state that is shown, the way is often the shortest.
    const forward = shown && shown.position <= target && shown.position > from && !shown.stale.size && this.events.between(shown.position, target, FAR);
    let fold = shown;
    if (!forward) {
      if (from < 0) return null;
      fold = new Fold(this.store.id);
      if (from > 0) fold.start(this.shots.get(from));
    }
    for (const e of forward || this.events.between(from, target, FAR) || []) fold.apply(e);
    return fold.stale.size || !fold.board ? null : fold;
  }

  // #show draws a fold, and returns the ids of tickets that differ from what was drawn.
  #show(fold) {
    const model = this.distrust ? null : this.store.past.peek();
    this.distrust = false;
    this.store.astray.value = null;
    if (!model) {
      const fresh = new Model(fold.view());
      fold.takeChanges();
      fresh.fold = fold;
      this.store.past.value = fresh;
      return [];
    }
    if (model.fold !== fold) {
      fold.changed = { tickets: adopt(model.fold, fold), board: true };
      model.fold = fold;
    }
    const touched = [...fold.changed.tickets];
    model.redraw();
    return touched;
  }

  // #stand says which moment is shown.
  #stand(event, fold) {
    this.store.moment.value = { position: event?.position ?? fold.position, at: event?.time ?? latest(fold), event };
    this.#tell(this.store.moment.value.position);
  }

  // #tell writes the moment into the address, not more often than browsers allow.
  #tell(position) {
    clearTimeout(this.teller);
    const write = () => {
      this.told = Date.now();
      this.written = position === null ? null : String(position);
      setQuery({ at: this.written });
    };
    const wait = position === null ? 0 : (this.told ?? 0) + 400 - Date.now();
    // A write that waited is void where somebody else changed the address meanwhile.
    if (wait > 0) this.teller = setTimeout(() => new URLSearchParams(location.search).get('at') === this.written && write(), wait);
    else write();
  }

  // #tooEarly says so where a moment was before the board, and for what is no moment.
  #tooEarly(target) {
    const first = this.pulse.peek()?.first;
    const none = typeof target === 'string' && Number.isNaN(new Date(target).getTime());
    if (!none && !(first && (typeof target === 'number' ? target < first.position : new Date(target) < new Date(first.at)))) return false;
    this.store.astray.value = { text: none ? t('time.no_moment', { at: target }) : t('time.not_yet'), label: t('time.to_first'), run: first && (() => this.go(first.position)) };
    return true;
  }

  #lost(problem) {
    const again = this.position;
    this.store.astray.value = { text: t('time.lost', { why: refusal(problem) }), label: t('app.retry'), run: () => this.go(again) };
  }

  async #prefetch() {
    const pulse = this.pulse.peek();
    if (!pulse || this.filling || pulse.total > SHORT) return;
    this.filling = true;
    await this.#try(() => this.events.fill());
  }
}

// latest is when something last happened, as far as a fold tells.
function latest(fold) {
  let at = fold.board.updated_at;
  for (const x of fold.tickets.values()) if (x.updated_at > at) at = x.updated_at;
  return at;
}

// adopt takes over from one fold into another what is the same in both, so that only
// what differs is drawn anew; it returns the ids that differ.
function adopt(was, fold) {
  const differ = new Set();
  for (const [id, a] of was.tickets) {
    const b = fold.tickets.get(id);
    if (b && same(a, b)) fold.tickets.set(id, a);
    else differ.add(id);
  }
  for (const id of fold.tickets.keys()) if (!was.tickets.has(id)) differ.add(id);
  if (JSON.stringify(was.board.columns) === JSON.stringify(fold.board.columns)) fold.board = { ...fold.board, columns: was.board.columns };
  return differ;
}

const same = (a, b) => a.version === b.version && a.blocked === b.blocked && a.archived === b.archived && a.comment_count === b.comment_count
  && a.current_column === b.current_column && a.rank === b.rank && a.depends_on.length === b.depends_on.length;
