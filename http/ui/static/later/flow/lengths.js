// The figures of how long work takes: cycle and lead time of what is done, the age
// of what is not.
import { html, useMemo } from '../../vendor/preact.js';
import { go, place, setQuery } from '../../lib/router.js';
import { exact, number, span, t } from '../../lib/strings.js';
import { merge, ongoing } from './counts.js';
import { base, brief, counts, Drawing, durations, FLOOR, shorten, times, widest } from './draw.js';
import { Figure } from './figure.js';
import { tickets, working } from './words.js';

const SHARES = [['p50', '50'], ['p85', '85'], ['p95', '95']];
const ms = (at) => Date.parse(at);
// length is a span, of less than a second too.
export const length = (s) => (s == null ? '\u2013' : s < 1 ? brief(s) : span(s));
const link = (board, key) => html`<a class="number" href="/boards/${board}/tickets/${key}">${key}</a>`;

// Choice is one of two, kept in the address.
const Choice = ({ name, value, options, label }) => html`<span class="row flow-choice" role="group" aria-label=${label}>${options.map((o) => html`<button key=${o} class="quiet" aria-pressed=${value === o} onClick=${() => setQuery({ [name]: o === options[0] && name !== 'axis' ? null : o })}>${t(`flow.${name}_${o}`)}</button>`)}</span>`;

// scaleOf: what spreads far is drawn on a logarithmic axis, unless the person chose.
function scaleOf(values) {
  const asked = place.value.query.get('axis');
  if (asked === 'log' || asked === 'linear') return asked;
  const sorted = values.toSorted((a, b) => a - b);
  const low = sorted[Math.floor(sorted.length * 0.1)] ?? 1;
  return (sorted.at(-1) ?? 1) / Math.max(FLOOR, low) > 30 ? 'log' : 'linear';
}
const Scale = ({ value }) => html`<${Choice} name="axis" value=${value} options=${['linear', 'log']} label=${t('flow.axis')} />`;

// opens a ticket where a point was clicked, and shows that it can be.
const opening = (board, keyAt) => ({
  interaction: { mode: 'nearest', intersect: true },
  onClick(event, [hit]) {
    if (hit) go(`/boards/${board}/tickets/${keyAt(hit)}`);
  },
  onHover(event, hits) { event.native.target.style.cursor = hits.length ? 'pointer' : 'default'; },
});

export function Times({ board, flow, csv }) {
  const which = place.value.query.get('time') === 'lead' ? 'lead' : 'cycle';
  const of = (d) => d[`${which}_seconds`];
  const list = useMemo(() => flow.scatter.filter((d) => of(d) !== null), [flow, which]);
  const scale = scaleOf(list.map(of));
  const p = flow.percentiles[which];
  const make = useMemo(() => (c) => {
    const log = scale === 'log';
    const y = (s) => (log ? Math.max(FLOOR, s) : s);
    const colours = { p50: 'green-mark', p85: 'amber-mark', p95: 'red-mark' };
    const lines = SHARES.filter(([name]) => p[name] !== null).map(([name, share]) => ({ y: y(p[name]), text: `${share} % ${length(p[name])}`, colour: c.of(colours[name]) }));
    return {
      type: 'scatter',
      data: { datasets: [{ label: t(`flow.time_${which}`), data: list.map((d) => ({ x: ms(d.done_at), y: y(of(d)) })), backgroundColor: c.of('accent', list.length > 500 ? 0.35 : 0.6), borderColor: c.of('surface'), borderWidth: list.length > 500 ? 0 : 1, radius: list.length > 500 ? 2.5 : 4.5, hoverRadius: 6, hoverBackgroundColor: c.of('accent'), hoverBorderColor: c.of('surface'), hitRadius: 6 }] },
      options: merge({ ...base(c, { right: widest(c, lines.map((l) => l.text)) }), ...opening(board, (hit) => list[hit.index].key) }, {
        scales: { x: times(c, ms(flow.from), ms(flow.to)), y: durations(c, list.map(of), log) },
        plugins: { tooltip: { callbacks: {
          title: ([x]) => `${list[x.dataIndex].key} ${shorten(list[x.dataIndex].title, 48)}`,
          label: (x) => ` ${t(`flow.time_${which}`)}: ${length(of(list[x.dataIndex]))}`,
          footer: ([x]) => t('flow.done_by', { time: exact(list[x.dataIndex].done_at), name: list[x.dataIndex].by || t('app.nothing') }),
        } } },
      }),
      marks: { lines },
    };
  }, [list, scale]);
  const title = list.length > 1 ? t(`flow.times_${which}`, { p50: length(p.p50), p85: length(p.p85) }) : list.length ? t('flow.times_one', { key: list[0].key, time: length(of(list[0])) }) : t(`flow.time_${which}`);
  const notes = [flow.scatter.length < flow.scatter_total && t('flow.times_newest', { n: number(flow.scatter.length), all: number(flow.scatter_total) }),
    list.length < flow.scatter.length && t('flow.times_unknown', { tickets: tickets(flow.scatter.length - list.length) })].filter(Boolean).join(' ');
  return html`<${Figure} id="scatter" title=${title} why=${t(`flow.times_${which}_why`)} note=${notes} csv=${csv('scatter')} empty=${!flow.scatter_total && t('flow.none_done')}
    controls=${html`<${Choice} name="time" value=${which} options=${['cycle', 'lead']} label=${t('flow.scatter')} /><${Scale} value=${scale} />`}
    head=${[{ name: t('flow.key'), text: true }, { name: t('flow.title'), text: true }, { name: t('flow.done'), text: true }, { name: t('flow.time_cycle') }, { name: t('flow.time_lead') }, { name: t('flow.by'), text: true }]}
    rows=${() => flow.scatter.map((d) => [link(board, d.key), d.title, exact(d.done_at), length(d.cycle_seconds), length(d.lead_seconds), d.by])}>
    <${Drawing} make=${make} short label=${`${title} ${SHARES.map(([name, share]) => `${share} %: ${length(p[name])}`).join(', ')}. ${tickets(list.length)}.`} /><//>`;
}

const ZONES = { fresh: ['green-mark', 'circle'], slow: ['amber-mark', 'rectRot'], late: ['red-mark', 'rect'], unknown: ['line-strong', 'circle'] };
const zoneOf = (age, f) => (f?.median_seconds == null ? 'unknown' : age < f.median_seconds ? 'fresh' : age < f.p85_seconds ? 'slow' : 'late');

// shift spreads the points of one column by a fixed sequence, so that they lie still.
const shift = (i) => (((i * 0.618034) % 1) - 0.5) * 0.5;

export function Aging({ board, flow, ages, csv }) {
  const columns = working(flow);
  const list = useMemo(() => flow.aging.filter((a) => columns.some((c) => c.id === a.column_id)), [flow]);
  const stays = columns.map((c) => ages?.get(c.id));
  const scale = scaleOf([...list.map((a) => a.age_seconds), ...stays.flatMap((s) => (s?.count ? [s.median_seconds, s.p95_seconds] : []))]);
  const zone = (a) => zoneOf(a.age_seconds, ages?.get(a.column_id));
  const make = useMemo(() => (c, width) => {
    const log = scale === 'log';
    const y = (s) => (log ? Math.max(FLOOR, s) : s);
    const points = list.map((a, i) => ({ x: columns.findIndex((k) => k.id === a.column_id) + shift(i), y: y(a.age_seconds) }));
    const zones = list.map(zone);
    const x = counts(c, {
      type: 'linear', min: -0.5, max: columns.length - 0.5, beginAtZero: false, grid: { display: false },
      afterBuildTicks(s) { s.ticks = columns.map((_, i) => ({ value: i })); },
      ticks: { autoSkip: false, callback: (i) => (columns[i] ? shorten(columns[i].name, width < 500 ? 11 : 20) : '') },
    });
    return {
      type: 'scatter',
      data: { datasets: [{ data: points, pointStyle: zones.map((z) => ZONES[z][1]), backgroundColor: zones.map((z) => c.of(ZONES[z][0])), borderColor: c.of('surface'), borderWidth: 1, radius: list.length > 200 ? 3 : 5, hoverRadius: 7, hoverBorderColor: c.of('text'), hitRadius: 6 }] },
      options: merge({ ...base(c), ...opening(board, (hit) => list[hit.index].key) }, {
        scales: { x, y: durations(c, [...points.map((k) => k.y), ...stays.filter((s) => s?.count).flatMap((s) => [y(s.median_seconds * 0.4), y(s.p95_seconds)])], log) },
        plugins: { tooltip: { callbacks: {
          title: ([k]) => `${list[k.dataIndex].key} ${shorten(list[k.dataIndex].title, 48)}`,
          label: (k) => ` ${t('card.age', { time: length(list[k.dataIndex].age_seconds) })}`,
          footer: ([k]) => aged(list[k.dataIndex]),
        } } },
      }),
      marks: {
        behind(ctx, chart) { drawStays(ctx, chart, c, stays, y); },
        names: list.map((a, i) => ({ a, i })).filter(({ i }) => i < 3 && zones[i] !== 'fresh').map(({ a, i }) => ({ x: points[i].x, y: points[i].y, text: a.key })),
      },
    };
  }, [list, ages, scale]);
  const late = list.filter((a) => zone(a) === 'late').length;
  const oldest = list[0];
  const title = oldest ? t(late ? 'flow.aging_late' : 'flow.aging_fine', { n: number(late), tickets: tickets(flow.aging_total), key: oldest.key, time: length(oldest.age_seconds), column: columns.find((c) => c.id === oldest.column_id)?.name }) : t('flow.aging');
  return html`<${Figure} id="aging" title=${title} why=${t('flow.aging_why')} csv=${csv('aging')} empty=${!list.length && t('flow.aging_none')}
    note=${[list.length < flow.aging_total && t('flow.aging_oldest', { n: number(list.length), all: number(flow.aging_total) }), !ongoing(flow) && t('flow.aging_now')].filter(Boolean).join(' ')}
    controls=${html`<${Scale} value=${scale} />`}
    head=${[{ name: t('flow.key'), text: true }, { name: t('flow.title'), text: true }, { name: t('flow.column'), text: true }, { name: t('flow.holder'), text: true }, { name: t('flow.age') }, { name: t('flow.work_age') }, { name: t('flow.rank') }]}
    rows=${() => list.map((a) => [link(board, a.key), a.title, columns.find((c) => c.id === a.column_id)?.name, a.holder ?? a.assignee ?? '', length(a.age_seconds), length(a.work_age_seconds), a.percentile === null ? '\u2013' : `${Math.round(a.percentile)} %`])}>
    <${Drawing} make=${make} short label=${title} /><//>`;
}

function aged(a) {
  const parts = [a.percentile === null ? t('flow.rank_none') : t('flow.rank_is', { n: Math.round(a.percentile) })];
  if (a.holder ?? a.assignee) parts.push(t(a.holder ? 'flow.held_by' : 'card.assigned', { name: a.holder ?? a.assignee }));
  if (a.blocked) parts.push(t('card.blocked'));
  return parts;
}

// drawStays draws behind each column how long those took that have left it.
function drawStays(ctx, chart, c, stays, y) {
  const { x, y: scale } = chart.scales;
  const { top, bottom } = chart.chartArea;
  const at = (s) => Math.min(bottom, Math.max(top, scale.getPixelForValue(y(s))));
  ctx.font = `${Math.round(Number.parseInt(c.font, 10) - 1)}px ${c.family}`;
  ctx.textBaseline = 'bottom';
  stays.forEach((s, i) => {
    const left = x.getPixelForValue(i - 0.46);
    const wide = x.getPixelForValue(i + 0.46) - left;
    if (!s?.count) {
      ctx.fillStyle = c.of('sunken');
      ctx.fillRect(left, top, wide, bottom - top);
      return;
    }
    const edges = [bottom, at(s.median_seconds), at(s.p85_seconds), top];
    ['green-soft', 'amber-soft', 'red-soft'].forEach((name, k) => {
      ctx.fillStyle = c.of(name);
      ctx.fillRect(left, edges[k + 1], wide, edges[k] - edges[k + 1]);
    });
    let above = Infinity;
    for (const [share, value, name] of [['50', s.median_seconds, 'green-mark'], ['85', s.p85_seconds, 'amber-mark'], ['95', s.p95_seconds, 'red-mark']]) {
      const line = at(value);
      ctx.fillStyle = c.of(name);
      ctx.fillRect(left, line, wide, 1);
      if (above - line < 13) continue;
      above = line;
      ctx.fillStyle = c.of('text-soft');
      ctx.textAlign = 'right';
      ctx.fillText(`${share} %`, left + wide - 3, line - 1);
    }
  });
  ctx.textAlign = 'left';
}
