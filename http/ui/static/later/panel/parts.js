// Small parts that the sections of the panel share.
import { html, useEffect, useRef, useSignal } from '../../vendor/preact.js';
import { Dialog, Face, Icon } from '../../lib/parts.js';
import { ago, exact, refusal, t } from '../../lib/strings.js';
import { now } from '../../board/store.js';
import { agentsOf } from './kinds.js';

// Section is a part of the ticket under its heading; side stands at its right. bare is
// one that has nothing yet but the button to add something.
export function Section({ title, note, side, children, className = '', bare }) {
  if (bare) return html`<section class="part only-add" aria-label=${title}>${children}</section>`;
  return html`<section class="part ${className}" aria-label=${title}><div class="row part-head"><h3>${title}</h3>${note && html`<span class="soft small number">${note}</span>`}${side && html`<span class="row spread">${side}</span>`}</div>${children}</section>`;
}

// When is a time as people say it; it stays right as time goes by.
export const When = ({ at }) => html`<time class="soft small" datetime=${at} title=${exact(at)}>${ago(at, Math.max(now.value, new Date(at).getTime()))}</time>`;

const AgentTag = () => html`<span class="tag violet" title=${t('panel.agent_text')}>${t('panel.agent')}</span>`;

// By names who did something in the flow of a text.
export const By = ({ store, name }) => html`<span class="soft small" dir="auto">${name}</span>${agentsOf(store).has(name) && html`<${AgentTag} />`}`;

// Who names an actor; agents are marked as such in words too.
export const Who = ({ name, agent }) => html`<span class="who"><${Face} name=${name} agent=${agent} /><strong class="cut" dir="auto">${name}</strong>${agent && html`<${AgentTag} />`}</span>`;

export const Failed = ({ problem, again }) => html`<p class="notice red" role="alert">${problem ? refusal(problem) : t('panel.section_failed')} <button class="spread" onClick=${again}>${t('app.retry')}</button></p>`;

// Tool is a button that is an icon with a name.
export const Tool = ({ icon, label, run, ...more }) => html`<button type="button" class="quiet square" aria-label=${label} title=${label} onClick=${run} ...${more}><${Icon} name=${icon} /></button>`;

// NoteDialog asks for a note before something is done; submit gets the note and the
// values of the other fields of the form.
export function NoteDialog({ title, lead, label, required, action, submit, onClose, children }) {
  const form = useRef();
  const busy = useSignal(false);
  useEffect(() => form.current.querySelector('textarea')?.focus(), []);
  const send = (event) => {
    event.preventDefault();
    if (busy.value) return;
    busy.value = true;
    const values = Object.fromEntries(new FormData(form.current));
    submit({ ...values, note: (values.note ?? '').trim() });
    onClose();
  };
  return html`<${Dialog} title=${title} onClose=${onClose}><form ref=${form} class="stack" onSubmit=${send} onKeyDown=${(e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) form.current.requestSubmit(); }}>
    ${lead && html`<p>${lead}</p>`}
    ${children}
    <label class="field"><span>${label ?? t('panel.note_optional')}</span><textarea name="note" rows="3" maxlength="2000" required=${required} dir="auto"></textarea></label>
    <div class="row"><button class="main">${action}</button><button type="button" class="quiet" onClick=${onClose}>${t('app.cancel')}</button></div>
  </form><//>`;
}
