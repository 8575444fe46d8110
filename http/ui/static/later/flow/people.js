// Who did what in the range, and when the rest may be done.
import { html, useEffect, useSignal } from '../../vendor/preact.js';
import { Face } from '../../lib/parts.js';
import { place, setQuery } from '../../lib/router.js';
import { number, t } from '../../lib/strings.js';
import { day, fullDay } from './draw.js';
import { Figure, Table } from './figure.js';
import { length } from './lengths.js';
import { tickets } from './words.js';

const money = (micros) => (micros ? `$${(micros / 1e6).toFixed(micros < 1e6 ? 3 : 2)}` : '\u2013');

export function Agents({ flow, csv }) {
  const list = flow.agents;
  const total = (name) => list.reduce((sum, a) => sum + a[name], 0);
  const title = list.length ? t('flow.agents_did', { who: list.length === 1 ? list[0].name : t('flow.agents_n', { n: list.length }), n: number(total('done')), rework: number(total('rework')), lost: number(total('leases_lost')) }) : t('flow.agents');
  return html`<${Figure} id="agents" wide always title=${title} why=${t('flow.agents_why')} csv=${csv('agents')} empty=${!list.length && t('flow.agents_none')}>
    <${Table} label=${t('flow.table_of', { name: t('flow.agents') })} head=${[{ name: t('flow.who'), text: true }, ...['claimed', 'finished', 'rework', 'lost', 'tokens_in', 'tokens_out', 'cost', 'median'].map((n) => ({ name: t(`flow.agents_${n}`) }))]}
      rows=${list.map((a) => [html`<span class="row"><${Face} name=${a.name} agent=${a.kind === 'agent'} /><span>${a.name}</span></span>`,
        number(a.claimed), number(a.done), number(a.rework), number(a.leases_lost), number(a.input_tokens), number(a.output_tokens), money(a.cost_micros), length(a.median_cycle_seconds)])} /><//>`;
}

const SHARES = [['p50', 50], ['p85', 85], ['p95', 95]];
const date = (text) => (text ? fullDay(text) : t('flow.forecast_far'));
const inDays = (asOf, n) => new Date(Date.parse(asOf.slice(0, 10)) + n * 86_400_000);

export function Forecast({ flow, csv }) {
  const f = flow.forecast;
  const asked = place.value.query.get('items');
  const typed = useSignal(null);
  useEffect(() => {
    if (typed.value === null) return undefined;
    const timer = setTimeout(() => setQuery({ items: typed.value }), 400);
    return () => clearTimeout(timer);
  }, [typed.value]);
  const change = (event) => {
    const { value, validity } = event.target;
    if (validity.valid) typed.value = value;
  };
  const title = f.reason ? t('flow.forecast_little') : !f.items ? t('flow.forecast_nothing') : t(asked ? 'flow.forecast_n' : 'flow.forecast_open', { tickets: tickets(f.items), date: date(f.when.p85) });
  const rows = () => [['what', '50 %', '85 %', '95 %'], [`${f.items} tickets done by`, f.when.p50, f.when.p85, f.when.p95],
    [`at least this many done by ${f.by.date}`, ...SHARES.map(([p]) => f.by[p])], ...[7, 14, 30].map((n) => [`at least this many done by ${inDays(flow.as_of, n).toISOString().slice(0, 10)}`, ...SHARES.map(([p]) => f.how_many[n][p])])];
  return html`<${Figure} id="forecast" wide always title=${title} csv=${!f.reason && csv('forecast', rows)}
    why=${t('flow.forecast_why', { draws: number(f.draws), days: number(f.samples_days), mean: number(f.per_day) })}>
    <div class="flow-forecast">
      <div class="stack"><label class="row wrap"><span>${t('flow.forecast_when')}</span>
        <input class="number" type="number" inputmode="numeric" min="0" max="100000" step="1" value=${typed.value ?? f.items} onInput=${change} aria-label=${t('flow.forecast_items')} />
        <span>${t('flow.forecast_when_end')}</span></label>
        ${asked && html`<button class="link" onClick=${() => { typed.value = null; setQuery({ items: null }); }}>${t('flow.forecast_reset')}</button>`}
        ${f.reason ? html`<p class="notice plain">${f.reason}</p>`
          : html`<dl class="flow-when">${SHARES.map(([p, n]) => html`<div key=${p} class=${p === 'p85' ? 'chosen' : ''}><dt>${t('flow.forecast_share', { n })}</dt><dd class="number">${f.items ? date(f.when[p]) : t('flow.forecast_already')}</dd></div>`)}</dl>`}</div>
      ${!f.reason && html`<div class="stack"><label class="row wrap"><span>${t('flow.forecast_until')}</span><input type="date" value=${f.by.date} min=${inDays(flow.as_of, 1).toISOString().slice(0, 10)} max=${inDays(flow.as_of, 366).toISOString().slice(0, 10)}
        onChange=${(e) => e.target.value && e.target.validity.valid && setQuery({ by: e.target.value })} /></label>
        <p><strong class="number">${t('flow.forecast_until_said', { p50: number(f.by.p50), p85: number(f.by.p85), p95: number(f.by.p95) })}</strong></p>
        <p>${t('flow.forecast_many')}</p><${Table} label=${t('flow.forecast_many')}
        head=${[{ name: t('flow.forecast_by'), text: true }, ...SHARES.map(([, n]) => ({ name: t('flow.forecast_share', { n }) }))]}
        rows=${[7, 14, 30].map((n) => [t('flow.forecast_day', { date: day(inDays(flow.as_of, n)), n }), ...SHARES.map(([p]) => number(f.how_many[n][p]))])} /></div>`}
    </div><//>`;
}
