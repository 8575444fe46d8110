// The figures that count tickets over time: cumulative flow, throughput, work in
// progress.
import { html, useMemo, useSignal } from '../../vendor/preact.js';
import { number, t } from '../../lib/strings.js';
import { base, counts, day, Drawing, fullDay, moment, shorten, times, widest } from './draw.js';
import { Figure } from './figure.js';
import { kindColour, tickets, working } from './words.js';

const ms = (at) => Date.parse(at);
const MINUTE = 60_000;

// ongoing: the range reaches to now, so that its last bucket is not over.
export const ongoing = (flow) => ms(flow.as_of) - ms(flow.to) < MINUTE;
const now = (flow) => (ongoing(flow) ? { x: ms(flow.to) } : null);

// name of a bucket, by its start.
function span(flow, at) {
  if (flow.bucket === 'hour') return moment(at);
  return flow.bucket === 'week' ? t('flow.week_of', { day: fullDay(at) }) : fullDay(at);
}

// fromNothing puts a point of zeros first where the range begins with the board.
const fromNothing = (flow, points, zeros) => (flow.young || points.length === 1 ? [{ x: ms(flow.from), y: flow.young ? zeros : points[0].y }, ...points] : points);

// start is where the drawing of points begins: the first is at the end of a bucket.
const start = (flow, points) => ms(flow.young || points.length === 1 ? flow.from : points[0].at);

// floor cuts off what is always in the lowest band, where that would press the rest
// flat.
function floor(flow, layers) {
  if (layers.length < 2) return {};
  const totals = flow.cumulative.map((p) => layers.reduce((sum, x) => sum + p.counts[x.i], 0));
  const least = flow.young ? 0 : Math.min(...flow.cumulative.map((p) => p.counts[layers[0].i]));
  const most = Math.max(...totals);
  if (least < most * 0.4) return {};
  const step = 10 ** Math.floor(Math.log10(most - least + 1));
  return { beginAtZero: false, ticks: { includeBounds: false, precision: 0, maxTicksLimit: 6 }, min: Math.max(0, Math.floor((least - (most - least) * 0.2) / step) * step) };
}

export function Cumulative({ board, flow, csv }) {
  const hidden = useSignal(new Set());
  const shown = flow.columns.map((c, i) => ({ ...c, i })).filter((c) => !hidden.value.has(c.id));
  const make = useMemo(() => (c, width) => {
    const layers = shown.toReversed(); // done lies at the bottom
    const last = flow.cumulative.at(-1).counts;
    const label = (x) => `${shorten(x.name, width < 500 ? 11 : 18)} ${number(last[x.i])}`;
    return {
      type: 'line',
      data: { datasets: layers.map((x, k) => {
        const colour = kindColour(c, flow.columns, x);
        return {
          label: x.name, data: fromNothing(flow, flow.cumulative.map((p) => ({ x: ms(p.at), y: p.counts[x.i] })), 0),
          fill: k ? '-1' : 'origin', backgroundColor: colour(0.38), borderColor: colour(1), borderWidth: 1.5, borderDash: x.removed ? [4, 3] : [],
          pointRadius: 0, pointHoverRadius: 3, pointStyle: 'rect', pointBackgroundColor: colour(1), tension: 0,
        };
      }) },
      options: merge(base(c, { right: widest(c, layers.map(label)) }), {
        scales: { x: times(c, start(flow, flow.cumulative), ms(flow.to)), y: counts(c, { stacked: true, ...floor(flow, layers) }) },
        plugins: { tooltip: { reverse: true, itemSort: (a, b) => b.datasetIndex - a.datasetIndex, callbacks: {
          title: ([x]) => moment(x.parsed.x),
          label: (x) => ` ${x.dataset.label}: ${number(x.raw.y)}`,
          footer: (list) => t('flow.together', { n: number(list.reduce((sum, x) => sum + x.raw.y, 0)) }),
        } } },
      }),
      marks: { now: now(flow), edge: layers.map((x, dataset) => ({ dataset, area: true, text: label(x), colour: kindColour(c, flow.columns, x)(1) })).filter((e) => last[layers[e.dataset].i] > 0) },
    };
  }, [flow, hidden.value]);
  const open = (p) => p.counts.reduce((sum, n, i) => (flow.columns[i].kind === 'done' ? sum : sum + n), 0);
  const before = flow.young ? 0 : open(flow.cumulative[0]);
  const after = open(flow.cumulative.at(-1));
  const title = t(after > before ? 'flow.cumulative_grew' : after < before ? 'flow.cumulative_shrank' : 'flow.cumulative_same', { before: number(before), after: tickets(after) });
  const toggle = (id) => {
    const next = new Set(hidden.value);
    if (!next.delete(id)) next.add(id);
    hidden.value = next;
  };
  const nothing = flow.cumulative.every((p) => p.counts.every((n) => n === 0));
  const last = flow.cumulative.at(-1);
  return html`<${Figure} id="cumulative" wide title=${title} why=${t('flow.cumulative_why')} csv=${csv('cumulative')} empty=${nothing && t('flow.cumulative_none')}
    head=${[{ name: t('flow.time'), text: true }, ...flow.columns.map((c) => ({ name: c.removed ? t('flow.removed', { name: c.name }) : c.name }))]}
    rows=${() => flow.cumulative.toReversed().map((p) => [moment(p.at), ...p.counts.map(number)])}>
    <${Drawing} make=${make} label=${`${title} ${flow.columns.map((c, i) => `${c.name}: ${number(last.counts[i])}`).join(', ')}.`} />
    <div class="row wrap flow-keys" role="group" aria-label=${t('flow.columns_shown')}>${flow.columns.map((c) => html`<button key=${c.id} class="chip" aria-pressed=${!hidden.value.has(c.id)} onClick=${() => toggle(c.id)}><span class="swatch ${c.kind}" aria-hidden="true"></span>${c.removed ? t('flow.removed', { name: c.name }) : c.name}</button>`)}</div>
  <//>`;
}

export function Throughput({ flow, csv }) {
  const done = flow.throughput.reduce((sum, p) => sum + p.done, 0);
  const created = flow.throughput.reduce((sum, p) => sum + p.created, 0);
  const mean = done / flow.throughput.length;
  const make = useMemo(() => (c) => {
    const soFar = (ctx) => ongoing(flow) && ctx.dataIndex === flow.throughput.length - 1;
    const line = { y: mean, text: t('flow.mean', { n: number(mean) }), colour: c.of('text-soft'), dash: [5, 4] };
    return {
      type: 'bar',
      data: { labels: flow.throughput.map((p) => p.at), datasets: [
        { label: t('flow.done'), data: flow.throughput.map((p) => p.done), backgroundColor: (ctx) => c.of('green-mark', soFar(ctx) ? 0.5 : 1), hoverBackgroundColor: c.of('green-mark', 0.8), borderRadius: 2, maxBarThickness: 32, categoryPercentage: 0.8, barPercentage: 1, pointStyle: 'rect', order: 2 },
        { type: 'line', label: t('flow.created'), data: flow.throughput.map((p) => p.created), borderColor: c.of('accent'), backgroundColor: c.of('accent'), borderWidth: 1.5, pointRadius: flow.throughput.length > 40 ? 0 : 2, pointHoverRadius: 4, order: 1 },
      ] },
      options: merge(base(c, { right: widest(c, [line.text]) }), {
        scales: {
          x: { ...times(c, 0, 1), type: 'category', min: undefined, max: undefined, afterBuildTicks: undefined, ticks: { ...times(c, 0, 1).ticks, autoSkip: true, autoSkipPadding: 24, callback: (i) => (flow.bucket === 'hour' ? moment(flow.throughput[i].at).split(', ').at(-1).replace(' UTC', '') : day(flow.throughput[i].at)) } },
          y: counts(c),
        },
        plugins: { tooltip: { callbacks: {
          title: ([x]) => span(flow, x.label),
          label: (x) => ` ${x.dataset.label}: ${number(x.parsed.y)}`,
          footer: ([x]) => (soFar(x) ? t('flow.so_far') : ''),
        } } },
      }),
      marks: { lines: done ? [line] : [] },
    };
  }, [flow]);
  const more = created - done;
  const title = t(more > 0 ? 'flow.throughput_grew' : more < 0 ? 'flow.throughput_shrank' : 'flow.throughput_same', { done: tickets(done), created: number(created), n: number(Math.abs(more)) });
  return html`<${Figure} id="throughput" title=${title} why=${t('flow.throughput_why')} csv=${csv('throughput')} empty=${!done && !created && t('flow.none')}
    head=${[{ name: t('flow.time'), text: true }, { name: t('flow.done') }, { name: t('flow.created') }]}
    rows=${() => flow.throughput.toReversed().map((p) => [span(flow, p.at), number(p.done), number(p.created)])}>
    <p class="row wrap flow-keys small"><span class="row"><span class="swatch done" aria-hidden="true"></span>${t('flow.done')}</span><span class="row"><span class="swatch stroke" aria-hidden="true"></span>${t('flow.created')}</span></p>
    <${Drawing} make=${make} short label=${title} />
  <//>`;
}

export function Progress({ flow, csv }) {
  const mean = flow.wip.reduce((sum, p) => sum + p.wip, 0) / flow.wip.length;
  const make = useMemo(() => (c) => {
    const lines = [{ y: mean, text: t('flow.mean', { n: number(mean) }), colour: c.of('text-soft'), dash: [5, 4] }];
    const last = t('flow.now_n', { n: number(flow.wip.at(-1).wip) });
    return {
      type: 'line',
      data: { datasets: [{ label: t('flow.wip'), data: fromNothing(flow, flow.wip.map((p) => ({ x: ms(p.at), y: p.wip })), 0), borderColor: c.of('accent'), backgroundColor: c.of('accent', 0.14), pointBackgroundColor: c.of('accent'), fill: 'origin', borderWidth: 2, pointRadius: 0, pointHoverRadius: 4 }] },
      options: merge(base(c, { right: widest(c, [lines[0].text, last]) }), {
        scales: { x: times(c, start(flow, flow.wip), ms(flow.to)), y: counts(c) },
        plugins: { tooltip: { callbacks: { title: ([x]) => moment(x.parsed.x), label: (x) => ` ${t('flow.wip')}: ${number(x.parsed.y)}` } } },
      }),
      marks: { lines, now: now(flow), edge: ongoing(flow) ? [{ dataset: 0, text: last, colour: c.of('accent') }] : [] },
    };
  }, [flow]);
  const last = flow.wip.at(-1).wip;
  const most = Math.max(...flow.wip.map((p) => p.wip));
  const title = most === 0 ? t('flow.wip') : t(ongoing(flow) ? 'flow.wip_now' : 'flow.wip_then', { tickets: tickets(last), mean: number(mean), most: number(most) });
  return html`<${Figure} id="wip" title=${title} why=${t('flow.wip_why', { columns: working(flow).map((c) => c.name).join(', ') || t('app.nothing') })} empty=${most === 0 && t('flow.wip_none')}
    csv=${csv('wip', () => [['at', 'wip'], ...flow.wip.map((p) => [p.at, p.wip])])}
    head=${[{ name: t('flow.time'), text: true }, { name: t('flow.wip') }]} rows=${() => flow.wip.toReversed().map((p) => [moment(p.at), number(p.wip)])}>
    <${Drawing} make=${make} short label=${title} /><//>`;
}

// merge adds more options to those of base.
export function merge(options, more) {
  return { ...options, ...more, plugins: { ...options.plugins, ...more.plugins, tooltip: { ...options.plugins.tooltip, ...more.plugins?.tooltip } } };
}
