// The graph of what waits for what: everything that is tied to a ticket, in ranks from
// left (to be done first) to right.
import { html, useEffect, useMemo, useRef } from '../../vendor/preact.js';
import { Icon } from '../../lib/parts.js';
import { t } from '../../lib/strings.js';

const MOST = 60;
const WIDTH = 80;
const HEIGHT = 30;
const GAP_X = 28;
const GAP_Y = 10;
const EDGE = 8;

// component collects what is tied to a ticket, the nearest first:
// {nodes: [{key, ticket, needs: [key]}], cut}.
export function component(model, ticket) {
  const waiters = new Map();
  for (const x of model.all()) {
    for (const key of x.depends_on) {
      if (!waiters.has(key)) waiters.set(key, []);
      waiters.get(key).push(x.key);
    }
  }
  const nodes = new Map();
  const queue = [ticket.key];
  let cut = false;
  for (const key of queue) {
    if (nodes.has(key)) continue;
    if (nodes.size === MOST) {
      cut = true;
      break;
    }
    const x = model.byKey(key);
    nodes.set(key, { key, ticket: x, needs: x?.depends_on ?? [] });
    queue.push(...(x?.depends_on ?? []), ...(waiters.get(key) ?? []));
  }
  const done = new Set(model.board.value.columns.filter((c) => c.kind === 'done').map((c) => c.id));
  for (const node of nodes.values()) {
    node.needs = node.needs.filter((key) => nodes.has(key));
    node.state = !node.ticket ? 'archived' : done.has(node.ticket.column_id) ? 'done' : node.ticket.blocked ? 'blocked' : 'open';
  }
  return { nodes: [...nodes.values()], cut };
}

// lay gives each node its place: a rank to the right of all that it needs, and in the
// rank near what it is tied to, so that few lines cross. A line over several ranks has
// a place in each of them too, so that it goes past the nodes and not behind them.
export function lay(nodes) {
  const by = new Map(nodes.map((n) => [n.key, n]));
  const rank = new Map();
  const rankOf = (key, above = new Set()) => {
    if (rank.has(key)) return rank.get(key);
    if (above.has(key)) return 0; // the server lets no circle be, but a past may lack its end
    above.add(key);
    const r = Math.max(-1, ...by.get(key).needs.map((k) => rankOf(k, above))) + 1;
    above.delete(key);
    rank.set(key, r);
    return r;
  };
  for (const n of nodes) rankOf(n.key);
  const ranks = [];
  const tied = new Map();
  const lines = []; // {from, to, stops}: keys
  const put = (key, r) => {
    (ranks[r] ??= []).push(key);
    tied.set(key, []);
  };
  for (const n of nodes) put(n.key, rank.get(n.key));
  for (const n of nodes) {
    for (const from of n.needs) {
      const stops = [from];
      for (let r = rank.get(from) + 1; r < rank.get(n.key); r++) {
        stops.push(`${from}>${n.key}@${r}`);
        put(stops.at(-1), r);
      }
      stops.push(n.key);
      for (let i = 1; i < stops.length; i++) {
        tied.get(stops[i - 1]).push(stops[i]);
        tied.get(stops[i]).push(stops[i - 1]);
      }
      lines.push({ from, to: n.key, stops });
    }
  }
  const row = new Map();
  const number = () => {
    for (const r of ranks) r.forEach((key, i) => row.set(key, i - r.length / 2));
  };
  number();
  for (let sweep = 0; sweep < 6; sweep++) {
    for (const r of sweep % 2 ? [...ranks].reverse() : ranks) {
      const middle = new Map(r.map((key) => {
        const rows = tied.get(key).map((k) => row.get(k));
        return [key, rows.length ? rows.reduce((x, y) => x + y, 0) / rows.length : row.get(key)];
      }));
      r.sort((x, y) => middle.get(x) - middle.get(y));
    }
    number();
  }
  const tallest = Math.max(...ranks.map((r) => r.length));
  const places = new Map();
  ranks.forEach((r, x) => r.forEach((key, i) => places.set(key, {
    x: EDGE + x * (WIDTH + GAP_X), y: EDGE + (i + (tallest - r.length) / 2) * (HEIGHT + GAP_Y),
  })));
  return { places, lines, width: 2 * EDGE + ranks.length * (WIDTH + GAP_X) - GAP_X, height: 2 * EDGE + tallest * (HEIGHT + GAP_Y) - GAP_Y };
}

// path draws a line through its places.
function path(places, stops) {
  const at = stops.map((key) => places.get(key));
  let d = `M${at[0].x + WIDTH} ${at[0].y + HEIGHT / 2}`;
  for (let i = 1; i < at.length; i++) {
    const last = i === at.length - 1;
    const [x1, y1, x2, y2] = [at[i - 1].x + WIDTH, at[i - 1].y + HEIGHT / 2, at[i].x - (last ? 4 : 0), at[i].y + HEIGHT / 2];
    d += `C${x1 + GAP_X / 2} ${y1} ${x2 - GAP_X / 2} ${y2} ${x2} ${y2}${last ? 'm-4 -3l4 3l-4 3' : `h${WIDTH}`}`;
  }
  return d;
}

const MARKS = { done: 'check', blocked: 'blocked', open: 'clock', archived: 'archive' };

export function Graph({ graph, ticket, board }) {
  const at = useRef();
  const { places, lines, width, height } = useMemo(() => lay(graph.nodes), [graph]);
  useEffect(() => {
    const own = places.get(ticket.key);
    at.current.scrollLeft = own.x + WIDTH / 2 - at.current.clientWidth / 2;
    at.current.scrollTop = own.y + HEIGHT / 2 - at.current.clientHeight / 2;
  }, [ticket.key]);
  const label = (n) => {
    const values = { key: n.key, title: n.ticket?.title ?? '', state: n.state === 'blocked' ? t('card.blocked') : t(`panel.state_${n.state}`), list: n.needs.join(', ') };
    return t(n.needs.length ? 'panel.node_waits' : 'panel.node', values);
  };
  const drawn = lines.map(({ from, to, stops }) => html`<path key="${from}-${to}" class=${from === ticket.key || to === ticket.key ? 'own' : ''} d=${path(places, stops)} />`);
  return html`<div class="graph-frame"><div class="graph" ref=${at} role="group" aria-label=${t('panel.graph_label', { n: graph.nodes.length })}><div class="graph-field" style=${{ width: `${width}px`, height: `${height}px` }}>
    <svg width=${width} height=${height} aria-hidden="true">${drawn}</svg>
    ${graph.nodes.map((n) => {
    const place = places.get(n.key);
    const box = { left: `${place.x}px`, top: `${place.y}px`, width: `${WIDTH}px`, height: `${HEIGHT}px` };
    const inside = html`<${Icon} name=${MARKS[n.state]} /><span class="cut number">${n.key}</span>`;
    return n.ticket
      ? html`<a key=${n.key} class="node ${n.state}" style=${box} href="/boards/${board}/tickets/${n.key}${location.search}" aria-current=${n.key === ticket.key ? 'true' : undefined} aria-label=${label(n)} title=${label(n)}>${inside}</a>`
      : html`<span key=${n.key} class="node ${n.state}" style=${box} title=${label(n)}>${inside}</span>`;
  })}</div></div>${graph.cut && html`<p class="soft small">${t('panel.graph_cut', { n: MOST })}</p>`}</div>`;
}
