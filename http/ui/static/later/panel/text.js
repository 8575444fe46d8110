// Texts: shown as markdown, edited in place, and saved so that a change that somebody
// else made meanwhile is seen and not lost.
import { html, useEffect, useLayoutEffect, useRef, useSignal } from '../../vendor/preact.js';
import { complain, Icon } from '../../lib/parts.js';
import { t } from '../../lib/strings.js';
import { saveText } from './change.js';
import { draft, keep } from './drafts.js';
import { Section, Tool } from './parts.js';

let module = null; // markdown.js, once it is here

// Markdown shows a text; until its module has come, as it was written.
export function Markdown({ text, board }) {
  const at = useRef();
  const ready = useSignal(Boolean(module));
  useEffect(() => {
    let there = true;
    if (!module) {
      import('./markdown.js').then((m) => {
        module = m;
        if (there) ready.value = true;
      }, () => {});
    }
    return () => { there = false; };
  }, []);
  useLayoutEffect(() => {
    if (ready.value) at.current.replaceChildren(module.render(text, board));
  }, [text, board, ready.value]);
  return ready.value ? html`<div key="shown" class="prose" dir="auto" ref=${at}></div>` : html`<div key="plain" class="prose plain-text" dir="auto">${text}</div>`;
}

// Writer is a text that is being written, with a preview. What is typed is kept as a
// draft under `name`; `base` is what the person began from.
export function Writer({ name, base, label, board, rows = 4, placeholder, action, submit, onLeave, focus, busy, hint }) {
  const preview = useSignal(false);
  const at = useRef();
  const text = draft(name).value?.text ?? base ?? '';
  useEffect(() => {
    if (!focus || preview.value) return;
    at.current?.focus();
    at.current?.setSelectionRange(text.length, text.length);
  }, [focus, preview.value]);
  const keys = (e) => {
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      submit(text);
    } else if (e.key === 'Escape' && onLeave) {
      e.stopPropagation();
      onLeave();
    }
  };
  const tab = (on, word) => html`<button type="button" class="quiet" aria-pressed=${preview.value === on} onClick=${() => { preview.value = on; }}>${word}</button>`;
  return html`<div class="writer" onKeyDown=${keys}>
    ${preview.value
    ? html`<div class="writer-preview" tabindex="0" role="region" aria-label=${t('panel.preview')}>${text.trim() ? html`<${Markdown} text=${text} board=${board} />` : html`<p class="soft">${t('panel.preview_empty')}</p>`}</div>`
    : html`<textarea ref=${at} rows=${rows} aria-label=${label} placeholder=${placeholder} dir="auto" value=${text}
        onInput=${(e) => keep(name, { ...(draft(name).peek() ?? { base }), text: e.target.value })}></textarea>`}
    <div class="row wrap"><button type="button" class="main" disabled=${busy} onClick=${() => submit(text)}>${action}</button>
      ${onLeave && html`<button type="button" class="quiet" onClick=${onLeave}>${t('app.cancel')}</button>`}
      ${(onLeave || text) && html`<span class="row spread writer-tabs">${tab(false, t('panel.write'))}${tab(true, t('panel.preview'))}</span>`}</div>
    ${hint && html`<p class="soft hint">${hint}</p>`}</div>`;
}

const AROUND = 2;
const MANY = 1_000_000; // comparisons, beyond which the middle counts as different

// shared are the indexes of the lines of a that are in b too, in the same order: the
// longest such list.
function shared(a, b) {
  if (a.length * b.length > MANY) {
    let head = 0;
    while (head < a.length && a[head] === b[head]) head++;
    let tail = 0;
    while (tail < Math.min(a.length, b.length) - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
    return new Set([...a.keys()].filter((i) => i < head || i >= a.length - tail));
  }
  const length = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) length[i][j] = a[i] === b[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
  const found = new Set();
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) {
      found.add(i++);
      j++;
    } else if (length[i + 1][j] >= length[i][j + 1]) i++;
    else j++;
  }
  return found;
}

// marked splits a text into lines and says which of them differ from another text;
// what is the same is left out where it is far from a difference.
function marked(text, other) {
  const lines = text.split('\n');
  const same = shared(lines, other.split('\n'));
  const list = [];
  for (const [i, line] of lines.entries()) {
    let near = false;
    for (let j = i - AROUND; j <= i + AROUND; j++) near ||= j >= 0 && j < lines.length && !same.has(j);
    if (near) list.push({ line, differs: !same.has(i) });
    else if (list.at(-1)?.line !== '…') list.push({ line: '…' });
  }
  return list;
}

// Lines shows what of a text differs from another one.
export const Lines = ({ text, other }) => html`<div class="lines" dir="auto">${text === '' ? html`<span class="soft">${t('panel.empty_text')}</span>` : marked(text, other).map((x, i) => (x.differs ? html`<mark key=${i}>${x.line || '\u00a0'}</mark>` : html`<span key=${i}>${x.line || '\u00a0'}</span>`))}</div>`;

// Conflict shows the newer text beside the person's own.
function Conflict({ newer, by, mine, take, insist, edit, busy }) {
  const at = useRef();
  useEffect(() => at.current.focus(), []);
  return html`<div class="conflict" role="group" tabindex="-1" ref=${at} aria-label=${by ? t('panel.conflict', { name: by }) : t('panel.conflict_somebody')}>
    <strong>${by ? t('panel.conflict', { name: by }) : t('panel.conflict_somebody')}</strong><p class="small">${t('panel.conflict_lead')}</p>
    <div class="conflict-texts"><div><h4>${t('panel.conflict_theirs')}</h4><${Lines} text=${newer} other=${mine} /></div><div><h4>${t('panel.conflict_yours')}</h4><${Lines} text=${mine} other=${newer} /></div></div>
    <div class="row wrap"><button onClick=${take}>${t('panel.conflict_take')}</button><button disabled=${busy} onClick=${insist}>${t('panel.conflict_mine')}</button><button class="quiet" onClick=${edit}>${t('panel.conflict_edit')}</button></div></div>`;
}

// useSaving is what editing a text of a ticket needs: a draft under its name, saving
// it, and what to do when somebody else was faster.
function useSaving({ store, ticket, field }) {
  const name = `${ticket.id}.${field}`;
  const editing = useSignal(false);
  const busy = useSignal(false);
  const conflict = useSignal(null);
  const changer = useRef(null); // who changed the text last, as far as it was seen
  useEffect(() => {
    const heard = (events) => {
      changer.current = events.findLast((e) => e.ticket_id === ticket.id && e.data?.[field] !== undefined)?.actor.name ?? changer.current;
    };
    store.listeners.add(heard);
    return () => store.listeners.delete(heard);
  }, [ticket.id]);
  const done = () => {
    keep(name, null);
    conflict.value = null;
    editing.value = false;
  };
  const save = async (text, base) => {
    if (busy.peek()) return;
    if (text === ticket[field]) {
      done();
      return;
    }
    busy.value = true;
    try {
      const { newer, by } = await saveText(store, ticket.id, field, text, base);
      if (newer) conflict.value = { text: newer[field], by: by ?? changer.current };
      else done();
    } catch (err) {
      complain(err); // the draft stays
    }
    busy.value = false;
  };
  const clash = conflict.value && html`<${Conflict} newer=${conflict.value.text} by=${conflict.value.by} mine=${draft(name).value?.text ?? ''} busy=${busy.value}
    take=${done} insist=${() => save(draft(name).peek().text, conflict.peek().text)}
    edit=${() => { keep(name, { ...draft(name).peek(), base: conflict.peek().text }); conflict.value = null; }} />`;
  return { name, editing, busy, save, done, clash, base: () => draft(name).peek()?.base ?? ticket[field] };
}

// Text is a section with one text of a ticket.
export function Text({ store, ticket, may, field, what, board }) {
  const { name, editing, busy, save, done, clash, base } = useSaving({ store, ticket, field });
  const opener = useRef();
  const text = ticket[field];
  const kept = draft(name).value;
  const began = useRef(false);
  useEffect(() => {
    if (began.current && !editing.value && document.activeElement === document.body) opener.current?.querySelector('button')?.focus();
    began.current = editing.value;
  }, [editing.value]);
  const begin = () => {
    if (!kept) keep(name, { text, base: text });
    editing.value = true;
  };
  const leave = () => {
    if (draft(name).peek()?.text === draft(name).peek()?.base) keep(name, null);
    editing.value = false;
  };
  const title = t(`panel.${field}`);
  const edit = html`<span ref=${opener}><${Tool} icon="edit" label=${t('panel.edit', { what })} run=${begin} /></span>`;
  if (editing.value) {
    return html`<${Section} title=${title}>${clash || html`
      ${kept && text !== kept.base && html`<p class="notice" role="status">${t('panel.meanwhile')}</p>`}
      <${Writer} name=${name} base=${text} label=${title} board=${board} rows=${8} focus action=${t('app.save')} busy=${busy.value} submit=${(x) => save(x, base())} onLeave=${leave} hint=${t('panel.markdown')} />`}<//>`;
  }
  const unsaved = may.change && kept && kept.text !== text && html`<p class="notice"><span>${t('panel.draft')}</span><button class="spread" onClick=${begin}>${t('panel.draft_go_on')}</button><button class="quiet" onClick=${done}>${t('panel.discard')}</button></p>`;
  if (!text) {
    if (!may.change) return null;
    return html`<section class="part only-add" aria-label=${title}>${unsaved || html`<span ref=${opener}><button class="quiet add-part" onClick=${begin}><${Icon} name="add" />${t('panel.add_text', { what })}</button></span>`}</section>`;
  }
  return html`<${Section} title=${title} side=${may.change && edit}>${unsaved}<${Markdown} text=${text} board=${board} /><//>`;
}

// Title is the heading of the panel, edited in place.
export function Title({ store, ticket, may }) {
  const { name, editing, busy, save, done, clash, base } = useSaving({ store, ticket, field: 'title' });
  const at = useRef();
  const opener = useRef();
  useEffect(() => {
    if (editing.value && at.current) at.current.select();
  }, [editing.value]);
  const begin = () => {
    if (!draft(name).peek()) keep(name, { text: ticket.title, base: ticket.title });
    editing.value = true;
  };
  const leave = (focus) => {
    done();
    if (focus) requestAnimationFrame(() => opener.current?.focus());
  };
  const submit = async (focus) => {
    const text = (draft(name).peek()?.text ?? '').trim();
    if (!text || text === ticket.title) leave(focus);
    else {
      await save(text, base());
      if (focus && !editing.peek()) requestAnimationFrame(() => opener.current?.focus());
    }
  };
  const keys = (e) => {
    if (e.key === 'Enter') {
      e.preventDefault();
      submit(true);
    } else if (e.key === 'Escape') {
      e.stopPropagation();
      leave(true);
    }
  };
  if (clash) return clash;
  if (editing.value) {
    return html`<h2 id="panel-title" class="panel-title"><textarea ref=${at} rows="2" maxlength="200" aria-label=${t('panel.title')} dir="auto" disabled=${busy.value} value=${draft(name).value?.text ?? ticket.title}
      onInput=${(e) => keep(name, { ...draft(name).peek(), text: e.target.value.replaceAll('\n', ' ') })} onKeyDown=${keys} onBlur=${() => submit(false)}></textarea></h2>`;
  }
  return html`<span class="key number phone-only">${ticket.key}</span><div class="row title-row"><h2 id="panel-title" class="panel-title" dir="auto" onDblClick=${may.change ? begin : undefined}>${ticket.title}</h2>
    ${may.change && html`<button ref=${opener} type="button" class="quiet square" aria-label=${t('panel.edit_title')} title=${t('panel.edit_title')} onClick=${begin}><${Icon} name="edit" /></button>`}</div>`;
}
