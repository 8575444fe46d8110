// Who waits for whom. A ticket of the server names what it waits for by keys alone:
// one whose id is not known has id 0 until it is found.
const NONE = [];

export class Waits {
  #lists = new Map(); // ticket id to [{id, key}] that it waits for
  #waiters = new Map(); // ticket id to a Set of those that wait for it

  of(id) {
    return this.#lists.get(id) ?? NONE;
  }

  // all are [id, list] of those that wait.
  all() {
    return this.#lists;
  }

  waiters(id) {
    return this.#waiters.get(id) ?? NONE;
  }

  // nameless are those that wait for a ticket of which neither id nor key is known.
  nameless() {
    return [...this.waiters(0)].filter((waiter) => this.of(waiter).some((d) => d.id === 0 && !d.key));
  }

  // set says all that a ticket waits for.
  set(id, list) {
    for (const d of this.of(id)) this.#waiters.get(d.id)?.delete(id);
    if (list.length) this.#lists.set(id, list);
    else this.#lists.delete(id);
    for (const d of list) this.#note(d.id, id);
  }

  add(id, d) {
    if (!this.of(id).some((x) => alike(x, d))) this.set(id, [...this.of(id), d]);
  }

  remove(id, d) {
    this.set(id, this.of(id).filter((x) => !alike(x, d)));
  }

  // name tells the id of a ticket to those that know its key.
  name(id, key) {
    for (const waiter of [...this.waiters(0)]) {
      if (this.of(waiter).some((d) => d.id === 0 && d.key === key)) this.set(waiter, this.of(waiter).map((d) => (d.id === 0 && d.key === key ? { id, key } : d)));
    }
  }

  #note(id, waiter) {
    if (!this.#waiters.has(id)) this.#waiters.set(id, new Set());
    this.#waiters.get(id).add(waiter);
  }
}

const alike = (a, b) => a.id === b.id || ((a.id === 0 || b.id === 0) && a.key === b.key);
