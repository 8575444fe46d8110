// What the page of TestBrowserFolds runs: fold.js on one history, in the two ways
// that the board uses it. It returns views as JSON; Go compares them.
(base) => import(`${base}lib/fold.js`).then(({ Fold, foldComments }) => {
  const view = (fold) => (fold.board ? {
    board: fold.board,
    tickets: fold.view().tickets,
    archived: [...fold.tickets.values()].filter((t) => t.archived).sort((a, b) => a.id - b.id),
  } : null);
  const members = (fold) => [...fold.members.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.user_id - b.user_id));
  const comments = (lists, events) => {
    const all = structuredClone(lists);
    for (const e of events) {
      if (e.ticket_id) all[e.ticket_id] = foldComments(all[e.ticket_id] ?? [], e);
    }
    return all;
  };
  // Nobody may change what was handed out: views compare by reference.
  const freeze = (x) => {
    if (x && typeof x === 'object' && !Object.isFrozen(x)) {
      Object.freeze(x);
      Object.values(x).forEach(freeze);
    }
    return x;
  };
  globalThis.run = (text) => {
    const { board, events, middle } = JSON.parse(text);
    freeze(events);
    const first = new Fold(board);
    for (const e of events) {
      first.apply(e);
      freeze([...first.tickets.values()]);
      freeze(first.board);
    }
    const out = { whole: view(first), members: members(first), comments: comments({}, events), stale: [...first.stale] };
    if (!middle) return JSON.stringify(out);

    // From a snapshot: what the fold cannot know is asked for along the way, and the
    // answer may be newer than the events that have come.
    const fold = new Fold(board).start(freeze(middle.snapshot));
    const put = (ids, tickets) => {
      for (const id of ids) fold.put(id, tickets[id] ?? null);
      return ids.length;
    };
    const drawn = new Map(fold.tickets); // as somebody sees it who follows takeChanges
    const follow = () => {
      for (const id of fold.takeChanges().tickets) {
        if (fold.tickets.has(id)) drawn.set(id, fold.tickets.get(id));
        else drawn.delete(id);
      }
    };
    let asked = null;
    for (const e of events.filter((e) => e.position > middle.snapshot.position)) {
      if (e.position > middle.asked && !asked) asked = fold.takeStale();
      if (e.position > middle.answered && asked.length) put(asked.splice(0), freeze(middle.answer));
      fold.apply(e);
      freeze([...fold.tickets.values()]);
      if (e.position % 3 === 0) follow();
    }
    // An answer may make others doubtful, never for ever.
    put(asked ?? [], middle.answer);
    for (let i = 0; i < 5 && put(fold.takeStale(), middle.last) > 0; i++);
    follow();
    out.resumed = view(fold);
    out.undone = [...fold.stale];
    out.missed = [...fold.tickets].filter(([id, t]) => drawn.get(id) !== t).map(([id]) => id).concat([...drawn.keys()].filter((id) => !fold.tickets.has(id)));
    out.later = comments(middle.comments, events.filter((e) => e.position > middle.snapshot.position));
    return JSON.stringify(out);
  };
})
