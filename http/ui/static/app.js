// The web board: what the address names is drawn here.
import { Fragment, html, render, signal, useEffect, useErrorBoundary } from './vendor/preact.js';
import { Icon, Toasts } from './lib/parts.js';
import { go, place } from './lib/router.js';
import { away, begin, me } from './lib/session.js';
import { t } from './lib/strings.js';
import { Help } from './board/keys.js';
import { BoardPage } from './board/page.js';
import { Palette } from './board/palette.js';
import { BoardsPage } from './pages/boards.js';
import { Frame } from './pages/frame.js';
import { AwayPage, RegisterPage, SetupPage, SignInAgain, SignInPage } from './pages/sign.js';

// Pages that are not needed at first come when they are.
const loaded = signal({});
const LATER = {
  flow: () => import('./later/flow.js'),
  diff: () => import('./later/diff.js'),
  settings: () => import('./later/settings.js'),
  agents: () => import('./later/agents.js'),
  account: () => import('./later/account.js'),
};

function Later({ page, ...props }) {
  const module = loaded.value[page];
  useEffect(() => {
    if (module) return;
    LATER[page]().then(
      (m) => { loaded.value = { ...loaded.value, [page]: m.default }; },
      () => { loaded.value = { ...loaded.value, [page]: Outdated }; },
    );
  }, [page]);
  return module ? html`<${module} ...${props} />` : html`<${Frame}><main class="page" id="content" aria-busy="true"><div class="bone" role="status" aria-label=${t('app.loading')}>\u00a0</div></main><//>`;
}

// A page from before an upgrade asks for files that are no longer there.
const Outdated = () => html`<${Frame}><main class="plain" id="content"><p>${t('app.new_version')}</p><button class="main" onClick=${() => location.reload()}>${t('app.reload')}</button></main><//>`;

function NotFound() {
  document.title = `${t('page.not_found')} · ${t('app.name')}`;
  return html`<${Frame}><main class="plain" id="content"><h1>${t('page.not_found')}</h1><p>${t('wrong.not_found')}</p><a class="button" href="/boards">${t('wrong.to_boards')}</a></main><//>`;
}

const ROUTES = [
  [/^\/(?:boards)?$/, () => html`<${BoardsPage} />`],
  [/^\/boards\/([^/]+)$/, ([board]) => html`<${BoardPage} key=${board} board=${board} />`],
  [/^\/boards\/([^/]+)\/tickets\/([^/]+)$/, ([board, ticket]) => html`<${BoardPage} key=${board} board=${board} ticket=${ticket} />`],
  [/^\/boards\/([^/]+)\/(flow|diff|settings)$/, ([board, page]) => html`<${Later} key=${page + board} page=${page} board=${board} />`],
  [/^\/(agents|account)$/, ([page]) => html`<${Later} key=${page} page=${page} />`],
];

function View() {
  const { path } = place.value;
  if (path === '/setup') return html`<${SetupPage} />`;
  if (me.value === undefined) return away.value ? html`<${AwayPage} />` : null;
  if (!me.value) {
    if (path === '/register') return html`<${RegisterPage} />`;
    return html`<${SignInPage} />`;
  }
  if (path === '/signin' || path === '/register') return html`<${BoardsPage} />`;
  for (const [pattern, view] of ROUTES) {
    const found = pattern.exec(path);
    if (found) return view(found.slice(1).map(decodeURIComponent));
  }
  return html`<${NotFound} />`;
}

function App() {
  const [wrong] = useErrorBoundary((err) => console.error(err));
  useEffect(() => {
    // Whoever is not signed in is asked to, and comes back to the address they opened.
    if (me.value === null && !['/setup', '/signin', '/register'].includes(place.value.path)) {
      const from = location.pathname + location.search;
      go(from === '/' ? '/signin' : `/signin?next=${encodeURIComponent(from)}`, { replace: true });
    }
  }, [me.value, place.value]);
  useEffect(() => {
    const title = { '/setup': 'page.setup', '/signin': 'page.signin', '/register': 'page.register', '/': 'page.boards', '/boards': 'page.boards' }[place.value.path];
    if (title) document.title = `${t(title)} · ${t('app.name')}`;
  }, [place.value]);
  if (wrong) {
    return html`<main class="plain" id="content"><h1>${t('wrong.title')}</h1><p>${t('wrong.lead')}</p><button class="main" onClick=${() => location.reload()}><${Icon} name="history" />${t('app.reload')}</button></main>`;
  }
  return html`<${Fragment}><${View} /><${SignInAgain} /><${Palette} /><${Help} /><${Toasts} /><//>`;
}

// The session is looked up first, so that no page flashes that is not wanted.
begin().finally(() => render(html`<${App} />`, document.getElementById('app')));
