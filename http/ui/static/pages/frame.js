// The top bar, and the page under it.
import { Fragment, html, useSignal } from '../vendor/preact.js';
import { Alerts } from '../lib/alerts.js';
import { Icon, Menu } from '../lib/parts.js';
import { go } from '../lib/router.js';
import { me, signOut } from '../lib/session.js';
import { t } from '../lib/strings.js';
import { help, palette } from '../board/keys.js';

const THEMES = ['auto', 'light', 'dark'];

function Theme() {
  const theme = useSignal(localStorage.getItem('kanban.theme') ?? 'auto');
  const change = () => {
    theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length];
    if (theme.value === 'auto') {
      localStorage.removeItem('kanban.theme');
      delete document.documentElement.dataset.theme;
    } else {
      localStorage.setItem('kanban.theme', theme.value);
      document.documentElement.dataset.theme = theme.value;
    }
  };
  const label = t('theme.label', { name: t(`theme.${theme.value}`) });
  return html`<button class="quiet square" aria-label=${label} title=${label} onClick=${change}><${Icon} name="theme" /></button>`;
}

export const Logo = () => html`<a class="brand" href="/boards" aria-label=${t('nav.boards')}><svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true" class="logo"><rect width="32" height="32" rx="7" /><g fill="var(--surface)"><rect x="6" y="7" width="5.5" height="18" rx="1.8" /><rect x="13.25" y="7" width="5.5" height="11" rx="1.8" /><rect x="20.5" y="7" width="5.5" height="6" rx="1.8" /></g></svg></a>`;

export const Me = () => html`<${Fragment}><${Theme} /><${Menu} label=${t('nav.account', { name: me.value.username })} icon="person" items=${[
  { label: t('nav.boards'), icon: 'lanes', href: '/boards' },
  { label: t('nav.agents'), icon: 'agent', href: '/agents' },
  { label: t('nav.account', { name: me.value.username }), icon: 'person', href: '/account' },
  { label: t('keys.palette_short'), icon: 'search', run: palette },
  { label: t('keys.title'), icon: 'keys', run: () => { help.value = true; } },
  { label: t('signout'), icon: 'out', run: () => { signOut(); go('/signin'); } },
]} /><//>`;

// Frame is the bar with a page's own parts in it.
export function Frame({ title, bar, children }) {
  return html`<${Fragment}><a class="button skip" href="#content">${t('app.skip')}</a>
    <header class="bar"><${Logo} />${title && html`<strong class="cut">${title}</strong>`}${bar}
      <nav class="row spread" aria-label=${t('app.name')}>${!bar && html`<a class="button quiet wide-only" href="/boards">${t('nav.boards')}</a><a class="button quiet wide-only" href="/agents">${t('nav.agents')}</a>`}<${Me} /></nav></header><${Alerts} />
    ${children}<//>`;
}
