// How the flow page draws: Chart.js in the colours of the tokens, and the marks that
// it lacks: named lines, labels at the right edge, the line of now.
import { html, signal, useEffect, useRef } from '../../vendor/preact.js';
import { Chart } from '../../vendor/chart.js';
import { t } from '../../lib/strings.js';

const TOKENS = [
  'surface', 'raised', 'line', 'line-strong', 'text', 'text-soft', 'accent', 'violet-mark', 'blue-mark',
  'amber-mark', 'red-mark', 'green-mark', 'amber-soft', 'red-soft', 'green-soft', 'sunken',
];
const TEXT = 12;
const GAP = 15; // between the middles of two labels

// palette reads the tokens as sRGB, which is what Chart.js can mix: a browser may
// answer in any notation, so it is asked for a pixel. light is for paper.
function palette(light) {
  const probe = document.body.appendChild(document.createElement('span'));
  if (light) probe.style.colorScheme = 'light';
  const canvas = document.createElement('canvas');
  canvas.width = 1;
  canvas.height = 1;
  const ctx = canvas.getContext('2d', { willReadFrequently: true });
  const style = getComputedStyle(probe);
  const parts = {};
  for (const name of TOKENS) {
    probe.style.color = `var(--${name})`;
    ctx.fillStyle = style.color;
    ctx.fillRect(0, 0, 1, 1);
    parts[name] = [...ctx.getImageData(0, 0, 1, 1).data].slice(0, 3);
  }
  const font = `${TEXT}px ${style.fontFamily}`;
  const family = style.fontFamily;
  probe.remove();
  return { font, family, of: (name, alpha = 1) => `rgba(${parts[name].join(', ')}, ${alpha})` };
}

// theme counts its changes. Whatever is drawn then is drawn anew.
const theme = signal(0);
const drawings = new Set();
new MutationObserver(() => { theme.value++; }).observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { theme.value++; });
addEventListener('beforeprint', () => { for (const draw of drawings) draw(true); });
addEventListener('afterprint', () => { for (const draw of drawings) draw(false); });
const still = matchMedia('(prefers-reduced-motion: reduce)');

const marksOf = new WeakMap(); // canvas to the marks of its chart

// Drawing is one chart. make(colours, width) returns {type, data, options, marks};
// marks may have
//   lines  [{y, text, colour}]        across, named at the right edge
//   edge   [{dataset, text, colour}]  names where a line or an area ends
//   now    {x, text}                  a dashed line
//   behind(ctx, chart)                whatever else lies under the data
//   names  [{x, y, text}]             of single points
export function Drawing({ make, label, short }) {
  const canvas = useRef();
  const chart = useRef(null);
  const turn = theme.value;
  useEffect(() => {
    const draw = (paper) => {
      const colours = palette(paper);
      const { type, data, options, marks } = make(colours, canvas.current.parentElement.clientWidth);
      marksOf.set(canvas.current, { ...marks, colours });
      if (!chart.current) {
        chart.current = new Chart(canvas.current, { type, data, options, plugins: [painter] });
        return;
      }
      chart.current.data = data;
      chart.current.options = options;
      if (paper !== undefined) chart.current.resize();
      chart.current.update(paper === undefined ? undefined : 'none');
    };
    draw();
    drawings.add(draw);
    return () => drawings.delete(draw);
  }, [make, turn]);
  useEffect(() => () => {
    chart.current?.destroy();
    chart.current = null;
  }, []);
  return html`<div class=${short ? 'flow-canvas short' : 'flow-canvas'}><canvas ref=${canvas} role="img" aria-label=${label}></canvas></div>`;
}

// base are the options of every chart; right is the room for labels, in pixels.
export function base(c, { right = 12 } = {}) {
  const quick = Number.parseFloat(getComputedStyle(document.documentElement).getPropertyValue('--quick')) || 0;
  return {
    responsive: true,
    maintainAspectRatio: false,
    animation: still.matches || !quick ? false : { duration: quick },
    font: { family: c.family, size: TEXT },
    layout: { padding: { right, top: 18 } },
    interaction: { mode: 'index', intersect: false },
    plugins: {
      tooltip: {
        backgroundColor: c.of('raised'), borderColor: c.of('line-strong'), borderWidth: 1, titleColor: c.of('text'), bodyColor: c.of('text'), footerColor: c.of('text-soft'),
        titleFont: { family: c.family, size: TEXT, weight: 600 }, bodyFont: { family: c.family, size: TEXT }, footerFont: { family: c.family, size: TEXT, weight: 400 },
        padding: 10, cornerRadius: 6, boxPadding: 4, usePointStyle: true, caretSize: 0, caretPadding: 8,
      },
    },
  };
}

// axis are the options of an axis.
export const axis = (c, more = {}) => ({
  border: { display: false },
  ...more,
  grid: { color: c.of('line'), drawTicks: false, ...more.grid },
  ticks: { color: c.of('text-soft'), font: { family: c.family, size: TEXT }, padding: 6, maxRotation: 0, ...more.ticks },
});

// counts is an axis of whole numbers from zero.
export const counts = (c, more = {}) => axis(c, { beginAtZero: true, ...more, ticks: { precision: 0, maxTicksLimit: 6, ...more.ticks } });

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const STEPS = [1, 2, 3, 6, 12, 24, 48, 168, 336, 672, 2184, 8736].map((h) => h * HOUR);
const MONDAY = 4 * DAY; // the first one of the epoch

const dayForm = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', timeZone: 'UTC' });
const yearForm = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });
const weekdayForm = new Intl.DateTimeFormat('en', { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });
const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: 'UTC' });

// day, fullDay and moment are dates of UTC, which the buckets are cut by.
export const day = (at) => dayForm.format(new Date(at));
export const fullDay = (at) => weekdayForm.format(new Date(at));
export const moment = (at) => `${fullDay(at)}, ${clock.format(new Date(at))} UTC`;

// times is an axis of time from one moment to another, in milliseconds.
export function times(c, from, to) {
  return axis(c, {
    type: 'linear', min: from, max: Math.max(to, from + 1),
    grid: { display: false },
    afterBuildTicks(scale) {
      const room = Math.max(2, Math.floor((scale.chart.width - 110) / 62));
      const step = STEPS.find((s) => (to - from) / s <= room) ?? STEPS.at(-1);
      const shift = step % (7 * DAY) === 0 ? MONDAY : 0;
      const ticks = [];
      for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) ticks.push({ value: at });
      scale.ticks = ticks.length ? ticks : [{ value: from }];
    },
    ticks: {
      autoSkip: false,
      callback(value) {
        if (to - from < DAY || value % DAY) return clock.format(value);
        return to - from > 330 * DAY ? yearForm.format(value) : day(value);
      },
    },
  });
}

const LINEAR = [0.1, 0.5, 1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 432_000, 604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000];
const ROUND = [0.1, 1, 10, 60, 600, 3600, 21_600, 86_400, 345_600, 864_000, 2_592_000, 8_640_000, 31_536_000, 94_608_000];

// brief is a length of time in one part, for axes.
export function brief(s) {
  const units = [[31_536_000, 'y'], [86_400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  for (const [size, name] of units) if (s >= size) return `${Math.round((s / size) * 10) / 10} ${name}`;
  return s === 0 ? '0' : `${Math.round(s * 1000)} ms`;
}

export const FLOOR = 0.1; // seconds: what took less lies there on a logarithmic axis

// durations is an axis of lengths of time, in seconds, that reaches from the least
// to the most of values.
export function durations(c, values, log) {
  const most = Math.max(1, ...values) * (log ? 2 : 1.14);
  if (log) {
    const least = Math.max(FLOOR, Math.min(most / 10, ...values) * 0.7);
    return axis(c, {
      type: 'logarithmic', min: least, max: most,
      afterBuildTicks(scale) { scale.ticks = ROUND.filter((v) => v >= least && v <= most).map((value) => ({ value })); },
      ticks: { callback: brief, autoSkip: true },
    });
  }
  const step = LINEAR.find((s) => most / s <= 6) ?? LINEAR.at(-1);
  return axis(c, { type: 'linear', min: 0, max: most, afterBuildTicks(scale) {
    scale.ticks = Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => ({ value: i * step }));
  }, ticks: { callback: brief } });
}

const ruler = document.createElement('canvas').getContext('2d');
// widest is the room that labels need, in pixels.
export function widest(c, texts) {
  ruler.font = c.font;
  return Math.ceil(Math.max(0, ...texts.map((x) => ruler.measureText(x).width))) + 16;
}

export const shorten = (text, max = 16) => (text.length > max ? `${text.slice(0, max - 1)}\u2026` : text);

// apart moves labels until none lies over another, as little as it can.
function apart(labels, top, bottom) {
  labels.sort((a, b) => a.y - b.y);
  labels.forEach((l, i) => { l.y = Math.max(l.y, i ? labels[i - 1].y + GAP : top); });
  for (let i = labels.length - 1; i >= 0; i--) labels[i].y = Math.min(labels[i].y, i === labels.length - 1 ? bottom : labels[i + 1].y - GAP);
  return labels;
}

// ends are where areas and lines end: in the middle of an area, at a line's last point.
function ends(chart, edge) {
  return edge.map(({ dataset, text, colour, area }) => {
    const last = chart.getDatasetMeta(dataset).data.at(-1);
    const under = area ? (dataset ? chart.getDatasetMeta(dataset - 1).data.at(-1)?.y : chart.chartArea.bottom) : last?.y;
    return last && { y: (last.y + Math.min(under, chart.chartArea.bottom)) / 2, text, colour };
  }).filter(Boolean);
}

const painter = {
  id: 'marks',
  beforeDatasetsDraw(chart) {
    const { lines = [], now, behind, colours } = marksOf.get(chart.canvas);
    const { ctx, chartArea: { left, right, top, bottom } } = chart;
    ctx.save();
    behind?.(ctx, chart);
    ctx.lineWidth = 1;
    for (const l of lines) {
      const y = chart.scales.y.getPixelForValue(l.y);
      ctx.strokeStyle = l.colour;
      ctx.setLineDash(l.dash ?? []);
      ctx.beginPath();
      ctx.moveTo(left, y);
      ctx.lineTo(right, y);
      ctx.stroke();
    }
    if (now) {
      const x = chart.scales.x.getPixelForValue(now.x);
      ctx.strokeStyle = colours.of('text-soft');
      ctx.fillStyle = colours.of('text-soft');
      ctx.setLineDash([3, 3]);
      ctx.beginPath();
      ctx.moveTo(x, top - 4);
      ctx.lineTo(x, bottom);
      ctx.stroke();
      ctx.font = colours.font;
      ctx.textAlign = 'center';
      ctx.fillText(t('flow.now'), x, top - 7);
    }
    ctx.restore();
  },
  afterDatasetsDraw(chart) {
    const { lines = [], edge = [], names = [], colours } = marksOf.get(chart.canvas);
    const { ctx, chartArea: { left, right, top, bottom } } = chart;
    ctx.save();
    ctx.font = colours.font;
    ctx.textBaseline = 'middle';
    const labels = [...lines.map((l) => ({ ...l, y: chart.scales.y.getPixelForValue(l.y) })), ...ends(chart, edge)];
    for (const l of apart(labels, top, bottom)) {
      ctx.fillStyle = l.colour;
      ctx.fillRect(right + 6, l.y - 5, 3, 10);
      ctx.fillStyle = colours.of('text');
      ctx.fillText(l.text, right + 13, l.y);
    }
    ctx.textBaseline = 'alphabetic';
    for (const n of names) {
      const x = chart.scales.x.getPixelForValue(n.x);
      const wide = ctx.measureText(n.text).width;
      ctx.strokeStyle = colours.of('surface');
      ctx.lineWidth = 3;
      ctx.fillStyle = colours.of('text');
      const at = [Math.min(Math.max(x - wide / 2, left), right - wide), chart.scales.y.getPixelForValue(n.y) - 9];
      ctx.strokeText(n.text, ...at);
      ctx.fillText(n.text, ...at);
    }
    ctx.restore();
  },
};
