// What changed between two moments of a board: the report that a person reads in the
// morning, after a night of agents.
//
// The address says which: range (a name), or from and to (positions or times).
import './strings.js';
import { Fragment, html, useEffect, useMemo, useSignal } from '../vendor/preact.js';
import { get } from '../lib/api.js';
import { Face, Icon } from '../lib/parts.js';
import { place, setQuery } from '../lib/router.js';
import { ago, dayTime, exact, number, refusal, t } from '../lib/strings.js';
import { lastVisit } from '../board/time.js';
import { Frame } from '../pages/frame.js';
import { copyText } from './copy.js';
import { Field, line } from './fields.js';
import { asText, GROUPS, grouped, only, sentence, SHARES } from './report.js';

const HOUR = 3_600_000;
const RANGES = ['evening', 'hour', 'day', 'week', 'visit'];

// begin is when a range begins, in milliseconds; null = it has none.
function begin(range, key) {
  const now = Date.now();
  switch (range) {
    case 'hour': return now - HOUR;
    case 'day': return now - 24 * HOUR;
    case 'week': return now - 7 * 24 * HOUR;
    case 'visit': return lastVisit(key);
    default: {
      const d = new Date(now);
      d.setDate(d.getDate() - 1);
      return d.setHours(18, 0, 0, 0);
    }
  }
}

const isPosition = (text) => /^\d+$/.test(text ?? '');

// timeOf is when a position was, null where nothing was before it.
async function timeOf(board, position) {
  if (position === '0') return null;
  const page = await get(`/api/events?board=${board}&before=${Number(position) + 1}&order=desc&limit=1`);
  return page.items[0]?.time ?? null;
}

async function load(key, from, to) {
  const query = new URLSearchParams({ from, ...(to && { to }) });
  const [board, diff, begun, ended] = await Promise.all([
    get(`/api/boards/${key}`), get(`/api/boards/${key}/diff?${query}`),
    isPosition(from) ? timeOf(key, from) : from, isPosition(to) ? timeOf(key, to) : to || new Date().toISOString(),
  ]);
  return { name: board.name, diff, from: begun, to: ended, ...grouped(diff, board.columns) };
}

export default function DiffPage({ board: key }) {
  const { query } = place.value;
  const asked = query.get('from');
  const range = asked ? null : query.get('range') ?? 'evening';
  const to = asked ? query.get('to') ?? '' : '';
  const report = useSignal(null);
  const wrong = useSignal(null);
  const turn = useSignal(0);
  useEffect(() => {
    let current = true;
    const from = asked ?? begin(range, key);
    wrong.value = null;
    report.value = null;
    load(key, typeof from === 'number' ? new Date(from).toISOString() : from ?? '0', to).then(
      (r) => { if (current) report.value = r; },
      (err) => { if (current) wrong.value = err; },
    );
    return () => { current = false; };
  }, [key, asked, range, to, turn.value]);
  const name = report.value?.name ?? key;
  useEffect(() => {
    document.title = `${t('diff.of', { name })} · ${t('app.name')}`;
  }, [name]);
  return html`<${Frame} title=${html`<a class="button quiet" href="/boards/${key}"><${Icon} name="left" /><span class="cut">${name}</span></a>`}><main class="page report" id="content">
    <h1>${t('diff.of', { name })}</h1>
    <${Ranges} board=${key} range=${range} from=${report.value?.from} to=${report.value?.to} again=${() => { turn.value++; }} />
    ${wrong.value && html`<p class="notice red" role="alert"><span>${refusal(wrong.value)}</span><button class="spread" onClick=${() => { turn.value++; }}>${t('app.retry')}</button></p>`}
    ${!report.value && !wrong.value && html`<div class="stack" role="status" aria-busy="true" aria-label=${t('app.loading')}>${[1, 2, 3].map((i) => html`<div key=${i} class="bone sheet">\u00a0</div>`)}</div>`}
    ${report.value && html`<${Report} board=${key} now=${!to} ...${report.value} />`}
  </main><//>`;
}

const local = (time) => {
  const d = new Date(time);
  return new Date(d.getTime() - d.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};

function Ranges({ board, range, from, to, again }) {
  const custom = useSignal(false);
  const choose = (name) => {
    custom.value = false;
    if (name === range) again();
    else setQuery({ range: name === 'evening' ? null : name, from: null, to: null }, { replace: false });
  };
  const show = (e) => {
    e.preventDefault();
    const { from: a, to: b } = e.target.elements;
    const [first, last] = [a.value, b.value].map((v) => (v ? new Date(v).toISOString() : null));
    setQuery({ range: null, from: last && last < first ? last : first, to: last && last < first ? first : last }, { replace: false });
  };
  const visited = lastVisit(board);
  return html`<div class="stack no-print"><div class="row wrap" role="group" aria-label=${t('diff.range')}>
      ${RANGES.map((r) => html`<button key=${r} class="chip" aria-pressed=${r === range && !custom.value} disabled=${r === 'visit' && !visited} title=${r === 'visit' ? (visited ? exact(visited) : t('diff.no_visit')) : undefined} onClick=${() => choose(r)}>${t(`diff.range_${r}`)}</button>`)}
      <button class="chip" aria-pressed=${range === null || custom.value} aria-expanded=${custom.value} onClick=${() => { custom.value = !custom.value; }}>${t('diff.range_custom')}</button></div>
    ${custom.value && html`<form class="row wrap" onSubmit=${show} key=${`${from} ${to}`}>
      <label class="row">${t('diff.from')}<input type="datetime-local" name="from" required defaultValue=${from ? local(from) : ''} /></label>
      <label class="row">${t('diff.to')}<input type="datetime-local" name="to" defaultValue=${to ? local(to) : ''} /></label>
      <button class="main">${t('diff.show')}</button></form>`}</div>`;
}

function Report({ board: key, name, diff, from, to, now, items, reordered }) {
  const actor = place.value.query.get('actor');
  const groups = useMemo(() => only(items, actor), [items, actor]);
  const actors = diff.summary.by_actor;
  const counted = actor ? actors.filter((a) => a.name === actor) : actors;
  const agents = useMemo(() => new Set(actors.filter((a) => a.kind !== 'human').map((a) => a.name)), [actors]);
  const begun = from ? dayTime(from) : t('diff.beginning');
  const ended = now ? t('diff.now') : dayTime(to);
  const some = GROUPS.filter((g) => groups[g].length);
  const text = () => asText({ name, from: from ? exact(from) : begun, to: exact(to), groups, actors: counted, line });
  return html`<${Fragment}>
    <div class="report-lead"><p class="report-says">${sentence(groups, counted)}</p>
      <p class="soft"><${MomentLink} board=${key} position=${diff.from} time=${from} text=${begun} /> – <${MomentLink} board=${key} position=${now ? null : diff.to} time=${to} text=${ended} />${now && html` <span class="print-only">(${exact(to)})</span>`}</p>
      <div class="row wrap no-print">${some.length > 0 && html`<${CopyText} text=${text} /><button onClick=${() => print()}>${t('diff.print')}</button>`}
        ${actor && html`<button class="chip" aria-pressed="true" onClick=${() => setQuery({ actor: null })}>${t('diff.only', { name: actor })}<${Icon} name="close" /></button>`}</div></div>
    ${some.length > 0 && html`<ul class="bare figures">${GROUPS.filter((g) => groups[g].length || ALWAYS.includes(g)).map((g) => html`<${Figure} key=${g} group=${g} n=${groups[g].length} />`)}</ul>`}
    ${actors.length > 0 && html`<${Actors} actors=${actors} actor=${actor} />`}
    ${some.length === 0 && !diff.board.length && html`<div class="sheet empty"><p>${t(actor ? 'diff.nothing_of' : 'diff.nothing_lead', { name: actor, from: begun, to: ended })}</p></div>`}
    ${diff.board.length > 0 && !actor && html`<section class="stack"><h2>${t('diff.board')}</h2><ul class="bare fields">${diff.board.map((f) => html`<${Field} key=${f.field} field=${f} />`)}</ul></section>`}
    ${some.map((g) => html`<section class="stack" key=${g} id=${g} tabindex="-1"><h2>${t(`diff.${g}`)} <span class="count number">${number(groups[g].length)}</span></h2>
      <ul class="bare changes">${groups[g].map((x) => html`<${Change} key=${x.id} board=${key} change=${x} agents=${agents} before=${diff.from} />`)}</ul></section>`)}
    ${reordered > 0 && !actor && html`<p class="soft">${t(reordered === 1 ? 'diff.reordered_one' : 'diff.reordered', { n: number(reordered) })}</p>`}
  <//>`;
}

const ALWAYS = ['done', 'moved', 'added', 'edited'];

function Figure({ group, n }) {
  const inside = html`<strong class="number ${n ? group : 'soft'}">${number(n)}</strong><span>${t(`diff.${group}`)}</span>`;
  return html`<li>${n ? html`<a href="#${group}">${inside}</a>` : html`<div>${inside}</div>`}</li>`;
}

// MomentLink leads to the board as it was then; without a position, to the board.
function MomentLink({ board, position, time, text }) {
  if (position === 0) return html`<span title=${time ? exact(time) : undefined}>${text}</span>`;
  return html`<a href="/boards/${board}${position ? `?at=${position}` : ''}" title=${time ? t('diff.board_then', { time: exact(time) }) : undefined}>${text}</a>`;
}

function CopyText({ text }) {
  const done = useSignal(false);
  const copy = async () => {
    done.value = await copyText(text());
  };
  return html`<button onClick=${copy}><${Icon} name=${done.value ? 'check' : 'copy'} />${t('diff.copy')}</button>`;
}

// Actors tells who did how much; a name filters the report.
function Actors({ actors, actor }) {
  return html`<section class="stack"><h2>${t('diff.by_whom')}</h2><div class="scroll" tabindex="0" role="region" aria-label=${t('diff.by_whom')}><table class="actors"><thead><tr><th scope="col">${t('diff.who')}</th>${SHARES.map((s) => html`<th key=${s} scope="col" class="number">${t(`diff.did_${s}`)}</th>`)}</tr></thead>
    <tbody>${actors.map((a) => html`<tr key=${a.id}><th scope="row"><button class="quiet" aria-pressed=${a.name === actor} title=${t('diff.filter', { name: a.name })} onClick=${() => setQuery({ actor: a.name === actor ? null : a.name })}><${Face} name=${a.name} agent=${a.kind !== 'human'} /><span class="cut">${a.name}</span></button></th>
      ${SHARES.map((s) => html`<td key=${s} class="number ${a[s] ? '' : 'soft'}">${a[s] ? number(a[s]) : '–'}</td>`)}</tr>`)}</tbody></table></div></section>`;
}

const COLUMNS = { fresh: 'diff.in', gone: 'diff.was_in' };

function Change({ board, change: x, agents, before }) {
  const href = `/boards/${board}/tickets/${x.key}${x.gone ? `?at=${before}` : ''}`;
  const way = x.fresh ? COLUMNS.fresh : x.gone ? COLUMNS.gone : null;
  return html`<li class="change"><span class="key number"><a href=${href}>${x.key}</a></span>
    <div class="change-what"><a class="change-title" href=${href} tabindex="-1" dir="auto">${x.title}</a>
      ${(x.from || x.to) && html`<span class="way">${way ? t(way, { column: x.to ?? x.from }) : html`<${Fragment}>${x.from} <${Icon} name="move" label=${t('diff.to')} /> <strong>${x.to}</strong><//>`}</span>`}
      ${x.fields.size > 0 && html`<ul class="bare fields">${[...x.fields.values()].map((f) => html`<${Field} key=${f.field} field=${f} />`)}</ul>`}</div>
    <span class="change-who" title=${x.by.join(', ')}>${x.by.length ? html`<${Fragment}>${x.by.slice(0, 4).map((name) => html`<${Face} key=${name} name=${name} agent=${agents.has(name)} />`)}${x.by.length > 4 && html`<span class="soft" aria-hidden="true">+${x.by.length - 4}</span>`}<span class="unseen">${x.by.join(', ')}</span><span class="print-only">${x.by.join(', ')}</span><//>` : null}</span>
    ${x.at ? html`<time class="soft number" datetime=${x.at} title=${exact(x.at)}><span class="no-print">${ago(x.at)}</span><span class="print-only">${dayTime(x.at)}</span></time>` : html`<span></span>`}</li>`;
}
