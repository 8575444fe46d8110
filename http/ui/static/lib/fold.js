// The fold: events into a board. It is the browser's own answer to what Timeline
// and the SQL projectors say, and is tested against both; keep the three alike.
//
// A fold begins empty, with board_created as its first event, or from a snapshot of
// the server. A snapshot lacks archived tickets, so after it some events cannot
// be folded: what they touch is then named in `stale`, and the caller asks the
// server for those tickets (put).
//
//   const fold = new Fold(boardID).start(snapshot)
//   fold.apply(envelope)             // the next event of this board's stream
//   const { tickets, columns } = fold.takeChanges()
//
// Tickets are replaced, never changed in place: whoever compares references sees
// what differs.

export const REDACTED = '[redacted]';

const bytes = new TextEncoder();

// compareText orders as Go's strings.Compare does: by UTF-8 bytes, which differs
// from UTF-16 units beyond the Basic Multilingual Plane.
export function compareText(a, b) {
  if (a === b) return 0;
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) {
      if (a.charCodeAt(i) < 0xd800 && b.charCodeAt(i) < 0xd800) return a.charCodeAt(i) < b.charCodeAt(i) ? -1 : 1;
      const x = bytes.encode(a);
      const y = bytes.encode(b);
      for (let j = 0; j < x.length && j < y.length; j++) if (x[j] !== y[j]) return x[j] - y[j];
      return x.length - y.length;
    }
  }
  return a.length - b.length;
}

// byRank orders tickets within a column.
export const byRank = (a, b) => compareText(a.rank, b.rank) || a.id - b.id;

export class Fold {
  constructor(boardID) {
    this.boardID = boardID;
    this.position = 0;
    this.board = null; // as in /api/boards/{id}; null = not created, or deleted
    this.members = new Map(); // user id to member
    this.tickets = new Map(); // id to ticket, archived ones included where they are known
    this.stale = new Set(); // ids of tickets that only the server knows in full
    this.whole = true; // from the first event: nothing is unknown
    this.waits = new Map(); // ticket id to [{id, key}] that it waits for; id 0 = not known
    this.waiters = new Map(); // ticket id to a Set of those that wait for it
    this.byKey = new Map();
    this.changed = { tickets: new Set(), board: false };
  }

  // start begins from a snapshot {position, board, columns, tickets}.
  start(snapshot) {
    this.position = snapshot.position;
    this.board = { ...snapshot.board, columns: snapshot.columns ?? snapshot.board.columns };
    this.whole = false;
    for (const t of snapshot.tickets) {
      this.tickets.set(t.id, t);
      this.byKey.set(t.key, t.id);
    }
    for (const t of snapshot.tickets) this.#know(t);
    return this;
  }

  // put takes a ticket that the server told of in full, or null where it is gone,
  // unless the fold has seen something newer of it.
  put(id, ticket) {
    this.stale.delete(id);
    const have = this.tickets.get(id);
    if (!ticket) {
      this.#remove(id);
      return;
    }
    if (have && have.version > ticket.version) return;
    this.tickets.set(id, ticket);
    this.byKey.set(ticket.key, id);
    this.#know(ticket);
    this.changed.tickets.add(id);
    this.#judgeWaiters(id);
  }

  // takeChanges returns what changed since it was last asked.
  takeChanges() {
    const c = this.changed;
    this.changed = { tickets: new Set(), board: false };
    return c;
  }

  // view is the board in the shape of a snapshot: what the tests compare.
  view() {
    const place = new Map(this.board.columns.map((c, i) => [c.id, i]));
    const at = (t) => place.get(t.column_id) ?? place.size;
    const tickets = [...this.tickets.values()].filter((t) => !t.archived);
    tickets.sort((a, b) => at(a) - at(b) || byRank(a, b));
    return { position: this.position, board: this.board, columns: this.board.columns, tickets };
  }

  apply(e) {
    if (e.position <= this.position) return;
    this.position = e.position;
    const fact = e.data ?? null; // null: redacted
    if (e.ticket_id) this.#ticket(e, fact);
    else this.#board(e, fact);
  }

  #board(e, fact) {
    if (e.type === 'board_created') {
      this.board = {
        id: e.board_id, key: '', name: REDACTED, description: '', visibility: 'private', max_claims: 0, columns: [], archived: false, frozen: false,
        version: e.version, created_at: e.time, updated_at: e.time, created_by: e.actor.name,
      };
      if (fact) {
        const { key, name, description, visibility, max_claims, columns } = fact;
        Object.assign(this.board, { key, name, description, visibility, max_claims, columns: columns.map(column) });
      }
      this.changed.board = true;
      return;
    }
    if (!this.board || !fact) return;
    const b = { ...this.board };
    switch (e.type) {
      case 'commands_undone': case 'webhook_added': case 'webhook_updated': case 'webhook_removed': case 'data_redacted':
        if (e.type !== 'data_redacted') return;
        break;
      case 'board_deleted':
        this.board = null;
        this.tickets.clear();
        this.changed.board = true;
        return;
      case 'board_updated':
        for (const name of ['name', 'description', 'visibility', 'max_claims']) if (fact[name] !== undefined) b[name] = fact[name];
        break;
      case 'board_archived': b.archived = true; break;
      case 'board_restored': b.archived = false; break;
      case 'board_frozen': b.frozen = true; break;
      case 'board_unfrozen': b.frozen = false; break;
      case 'column_added': b.columns = b.columns.toSpliced(fact.index, 0, column(fact.column)); break;
      case 'column_updated': b.columns = b.columns.map((c) => (c.id === fact.column.id ? column(fact.column) : c)); break;
      case 'column_moved': {
        const at = b.columns.findIndex((c) => c.id === fact.column_id);
        if (at >= 0) b.columns = b.columns.toSpliced(at, 1).toSpliced(fact.index, 0, b.columns[at]);
        break;
      }
      case 'column_removed': b.columns = b.columns.filter((c) => c.id !== fact.column_id); break;
      case 'member_added': case 'member_updated':
        this.members.set(fact.user_id, { board_id: b.id, user_id: fact.user_id, name: fact.name, role: fact.role });
        break;
      case 'member_removed': this.members.delete(fact.user_id); break;
      default: // a type of a newer server: the board's version moves all the same
    }
    b.version = e.version;
    b.updated_at = e.time;
    this.board = b;
    this.changed.board = true;
    if (e.type !== 'column_updated') return;
    for (const t of this.tickets.values()) {
      if (t.column_id !== fact.column.id) continue;
      if (t.current_column !== fact.column.name) this.#set(t.id, { ...t, current_column: fact.column.name });
      this.#judgeWaiters(t.id);
    }
  }

  #ticket(e, fact) {
    const id = e.ticket_id;
    if (e.type === 'ticket_created' || e.type === 'ticket_recovered') {
      if (e.type === 'ticket_recovered' && !fact) return;
      this.#created(e, fact);
      return;
    }
    const t = this.tickets.get(id);
    if (!t) {
      // An archived ticket that the snapshot left out. Others may wait for it.
      if (!this.whole && e.type !== 'ticket_deleted') this.stale.add(id);
      if (!this.whole) this.#doubtUnknown();
      return;
    }
    // Already in it: the server told of this ticket later than its events came.
    if (!this.whole && e.version <= t.version && !e.type.startsWith('comment_')) return;
    const next = { ...t };
    switch (e.type) {
      case 'ticket_updated':
        if (fact) {
          for (const name of ['title', 'description', 'acceptance_criteria', 'priority', 'labels']) if (fact[name] !== undefined) next[name] = fact[name];
          if (fact.due_at || fact.clear_due) next.due_at = fact.due_at ?? null;
          next.approval = null;
        }
        break;
      case 'ticket_moved':
        if (fact) enter(next, e, fact);
        break;
      case 'ticket_assigned':
        if (fact) next.assignee = fact.assignee || null;
        break;
      case 'ticket_archived':
        if (fact) next.archived = true;
        break;
      case 'ticket_restored':
        next.archived = false;
        if (fact) enter(next, e, fact);
        break;
      case 'ticket_deleted':
        if (!fact) break;
        this.#remove(id);
        return;
      case 'ticket_claimed':
        if (!fact) break;
        next.lease = { fence: e.position, holder_id: e.actor.id, holder: e.actor.name, claimed_at: e.time, expires_at: fact.expires_at };
        next.approval = null;
        break;
      case 'ticket_released': case 'lease_expired':
        if (fact) next.lease = null;
        break;
      case 'dependency_added':
        if (fact && !this.#waits(id).some((d) => d.id === fact.depends_on)) this.#wait(id, { id: fact.depends_on, key: fact.key });
        break;
      case 'dependency_removed':
        if (fact) this.#waitNoMore(id, fact.depends_on, fact.key);
        break;
      case 'checklist_changed':
        if (fact) Object.assign(next, { checklist: fact.items ?? [], approval: null });
        break;
      case 'evidence_added':
        if (fact) Object.assign(next, { evidence: [...t.evidence, { id: fact.evidence_id, kind: fact.kind, text: fact.text, by: e.actor.name, at: e.time }], approval: null });
        break;
      case 'evidence_removed':
        if (fact) Object.assign(next, { evidence: t.evidence.filter((x) => x.id !== fact.evidence_id), approval: null });
        break;
      case 'approval_requested': case 'ticket_approved': case 'ticket_rejected':
        if (fact) {
          const state = { approval_requested: 'requested', ticket_approved: 'approved', ticket_rejected: 'rejected' }[e.type];
          next.approval = { state, version: fact.version, by: e.actor.name, at: e.time, note: fact.note ?? '' };
        }
        break;
      case 'approval_withdrawn':
        if (fact) next.approval = null;
        break;
      case 'comment_added': case 'comment_deleted':
        if (e.type === 'comment_added' || fact) this.#set(id, { ...t, comment_count: Math.max(0, (t.comment_count ?? 0) + (e.type === 'comment_added' ? 1 : -1)) });
        return;
      case 'comment_updated': case 'usage_recorded':
        return;
      case 'data_redacted':
        // The words are gone from the events too: only the server's rows say what is left.
        if (!this.whole) this.stale.add(id);
        break;
      default: // a type of a newer server
    }
    next.version = e.version;
    next.updated_at = e.time;
    const moved = next.column_id !== t.column_id;
    this.#set(id, next);
    this.#judge(id);
    if (moved) this.#judgeWaiters(id);
  }

  #created(e, fact) {
    const b = this.board;
    const t = {
      id: e.ticket_id, key: '', board_id: e.board_id, title: REDACTED, description: '', acceptance_criteria: '', priority: 'medium', labels: [],
      assignee: null, column_id: b?.columns[0]?.id ?? 0, current_column: b?.columns[0]?.name ?? '', rank: '', due_at: null, archived: false,
      checklist: [], evidence: [], depends_on: [], blocked: false, approval: null, lease: null, comment_count: 0,
      version: e.version, created_at: e.time, updated_at: e.time, column_entered_at: e.time, created_by: e.actor.name,
    };
    if (fact) {
      const { key, title, description, acceptance_criteria, priority, labels, assignee, due_at, column_id, column: name, rank } = fact;
      Object.assign(t, { key, title, description, acceptance_criteria, priority, labels: labels ?? [], assignee: assignee || null, due_at: due_at ?? null, column_id, current_column: name, rank });
    }
    this.#forgetWaits(t.id);
    if (e.type === 'ticket_recovered') {
      const { archived, created_at, created_by, column_entered_at, checklist, evidence, comments } = fact;
      Object.assign(t, { archived: archived ?? false, created_at, created_by, column_entered_at, checklist: checklist ?? [], evidence: evidence ?? [], comment_count: comments?.length ?? 0 });
    }
    this.stale.delete(t.id);
    this.byKey.set(t.key, t.id);
    this.#set(t.id, t);
    for (const d of fact?.depends_on ?? []) this.#wait(t.id, d);
    this.#judge(t.id);
    this.#judgeWaiters(t.id);
  }

  #set(id, ticket) {
    this.tickets.set(id, ticket);
    this.changed.tickets.add(id);
  }

  #remove(id) {
    const t = this.tickets.get(id);
    if (!t) return;
    this.tickets.delete(id);
    this.byKey.delete(t.key);
    this.stale.delete(id);
    this.changed.tickets.add(id);
    this.#forgetWaits(id);
    this.#judgeWaiters(id);
  }

  // Dependencies. A ticket that is not there, or not in a column of kind done,
  // blocks whoever waits for it.

  #waits(id) {
    return this.waits.get(id) ?? [];
  }

  // #know takes over what a ticket of the server waits for, by key.
  #know(t) {
    this.#forgetWaits(t.id);
    if (!t.depends_on.length) return;
    const list = t.depends_on.map((key) => ({ id: this.byKey.get(key) ?? 0, key }));
    this.waits.set(t.id, list);
    for (const d of list) this.#waiter(d.id).add(t.id);
  }

  #waiter(id) {
    if (!this.waiters.has(id)) this.waiters.set(id, new Set());
    return this.waiters.get(id);
  }

  #wait(id, d) {
    this.waits.set(id, [...this.#waits(id), { id: d.id, key: d.key }]);
    this.#waiter(d.id).add(id);
  }

  #waitNoMore(id, on, key) {
    this.waits.set(id, this.#waits(id).filter((d) => d.id !== on && !(d.id === 0 && d.key === key)));
    this.waiters.get(on)?.delete(id);
  }

  #forgetWaits(id) {
    for (const d of this.#waits(id)) this.waiters.get(d.id)?.delete(id);
    this.waits.delete(id);
  }

  #done(id) {
    const t = this.tickets.get(id);
    return Boolean(t && this.board?.columns.some((c) => c.id === t.column_id && c.kind === 'done'));
  }

  #judgeWaiters(id) {
    for (const waiter of this.waiters.get(id) ?? []) this.#judge(waiter);
  }

  #judge(id) {
    const t = this.tickets.get(id);
    if (!t) return;
    const list = this.#waits(id);
    let blocked = false;
    for (const d of list) {
      if (!this.whole && !this.tickets.has(d.id)) {
        this.stale.add(id); // archived, or gone: the server knows
        blocked ||= t.blocked;
      } else blocked ||= !this.#done(d.id);
    }
    const keys = list.map((d) => d.key);
    if (blocked !== t.blocked || keys.length !== t.depends_on.length || keys.some((k, i) => k !== t.depends_on[i])) {
      this.#set(id, { ...t, blocked, depends_on: keys });
    }
  }

  // #doubtUnknown: something happened to a ticket that is not here; whoever waits
  // for one that is not here is asked for again.
  #doubtUnknown() {
    for (const [id, list] of this.waits) if (list.some((d) => !this.tickets.has(d.id))) this.stale.add(id);
  }
}

function column(c) {
  const policy = { require_checklist: false, require_evidence: false, approval: false, ...c.policy };
  return { id: c.id, name: c.name, kind: c.kind, wip_limit: c.wip_limit ?? null, policy };
}

function enter(t, e, fact) {
  if (t.column_id !== fact.column_id) t.column_entered_at = e.time;
  t.column_id = fact.column_id;
  t.current_column = fact.column;
  t.rank = fact.rank;
}

// foldComments brings one event into the comments of a ticket, oldest first.
export function foldComments(list, e) {
  const fact = e.data ?? null;
  switch (e.type) {
    case 'comment_added': {
      const id = fact ? fact.comment_id : -e.position;
      if (list.some((c) => c.id === id)) return list;
      return [...list, {
        id, ticket_id: e.ticket_id, board_id: e.board_id, text: fact ? fact.text : REDACTED,
        author: e.actor.name, author_kind: e.actor.kind, created_at: e.time, updated_at: e.time,
      }];
    }
    case 'comment_updated':
      return fact ? list.map((c) => (c.id === fact.comment_id ? { ...c, text: fact.text, updated_at: e.time } : c)) : list;
    case 'comment_deleted':
      return fact ? list.filter((c) => c.id !== fact.comment_id) : list;
    default:
      return list;
  }
}
