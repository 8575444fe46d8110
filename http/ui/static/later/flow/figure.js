// One figure of the flow page: a sentence that says what it shows, how to read it,
// the drawing or its numbers as a table, and the numbers as a file.
import { html, signal, useSignal } from '../../vendor/preact.js';
import { get } from '../../lib/api.js';
import { complain, Icon, say } from '../../lib/parts.js';
import { t } from '../../lib/strings.js';

// tables shows every figure as a table; one figure may differ.
export const tables = signal(false);

// save offers a text as a file. It never leaves the browser.
export function save(name, text) {
  const url = URL.createObjectURL(new Blob(['\ufeff', text], { type: 'text/csv;charset=utf-8' }));
  const a = document.createElement('a');
  a.href = url;
  a.download = name;
  document.body.append(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  say(t('flow.saved', { name }));
}

// A cell that a spreadsheet would take for a formula gets an apostrophe, as in the
// server's own tables.
const cell = (v) => {
  const text = typeof v === 'string' && /^[=+\-@\t\r]/.test(v) ? `'${v}` : String(v ?? '');
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
export const asCSV = (rows) => rows.map((row) => `${row.map(cell).join(',')}\n`).join('');

export function Table({ label, head, rows }) {
  return html`<div class="scroll flow-table" tabindex="0" role="region" aria-label=${label}><table>
    <thead><tr>${head.map((h, i) => html`<th key=${i} scope="col" class=${h.text ? '' : 'number'}>${h.name}</th>`)}</tr></thead>
    <tbody>${rows.map((row, i) => html`<tr key=${i}>${row.map((v, j) => (j === 0
      ? html`<th key=${j} scope="row" class="number-left">${v}</th>`
      : html`<td key=${j} class=${head[j].text ? '' : 'number'}>${v}</td>`))}</tr>`)}</tbody></table></div>`;
}

// Figure: csv is {name, path} of the server's table or {name, rows} of our own; empty
// is what is said instead of a drawing; always is a figure that is a table anyway.
export function Figure({ id, title, why, csv, head, rows, empty, note, controls, wide, always, children }) {
  const own = useSignal(null); // null = as the page
  const table = own.value ?? tables.value;
  const busy = useSignal(false);
  const load = async () => {
    busy.value = true;
    try {
      const text = csv.rows ? asCSV(csv.rows()) : await get(csv.path, { headers: { Accept: 'text/csv' } });
      save(csv.name, text);
    } catch (err) {
      complain(err);
    }
    busy.value = false;
  };
  return html`<section class="sheet flow-figure ${wide ? 'wide' : ''}" id=${id} aria-labelledby="${id}-title">
    <header><h2 id="${id}-title">${title}</h2>
      <div class="row wrap flow-tools"><details><summary>${t('flow.how')}</summary><p class="soft">${why}</p></details>
        <div class="row no-print flow-buttons">${!empty && controls}
          ${!empty && !always && html`<button class="quiet" aria-pressed=${table} aria-label=${t('flow.table_of', { name: t(`flow.${id}`) })} onClick=${() => { own.value = !table; }}><${Icon} name="table" />${t('flow.table')}</button>`}
          ${!empty && csv && html`<button class="quiet" disabled=${busy.value} aria-label=${t('flow.csv_of', { name: t(`flow.${id}`) })} onClick=${load}><${Icon} name="download" />CSV</button>`}</div></div></header>
    ${empty ? html`<p class="empty flow-empty">${empty}</p>` : table && !always ? html`<${Table} label=${t('flow.table_of', { name: t(`flow.${id}`) })} head=${head} rows=${rows()} />` : children}
    ${!empty && note && html`<p class="soft small">${note}</p>`}
  </section>`;
}
