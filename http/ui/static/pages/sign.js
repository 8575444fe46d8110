// Setup, sign in, register: the pages before a session.
import { html, useEffect, useSignal } from '../vendor/preact.js';
import { get, post } from '../lib/api.js';
import { Dialog, Field } from '../lib/parts.js';
import { go, place } from '../lib/router.js';
import { adopt, begin, ended, me, signOut } from '../lib/session.js';
import { refusal, span, t } from '../lib/strings.js';

const signIn = async (username, password) => adopt(await post('/api/auth/login', { username, password }, { open: true }));

// The token is in the fragment, which browsers send to no server. It leaves the
// address bar, and the history, at once.
function setupToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
  if (token) history.replaceState(null, '', location.pathname);
  return token;
}

// useWait counts down after too many attempts: the form then says how long, and lets
// nobody waste an attempt.
function useWait() {
  const left = useSignal(0);
  useEffect(() => {
    if (left.value <= 0) return undefined;
    const timer = setTimeout(() => { left.value--; }, 1000);
    return () => clearTimeout(timer);
  }, [left.value]);
  return left;
}

function Form({ submit, button, children, username = '', fixed = false, autocomplete }) {
  const busy = useSignal(false);
  const wrong = useSignal(null);
  const wait = useWait();
  const send = async (event) => {
    event.preventDefault();
    const form = event.target;
    busy.value = true;
    wrong.value = null;
    try {
      await submit(Object.fromEntries(new FormData(form)));
    } catch (err) {
      wrong.value = err;
      wait.value = err.code === 'rate_limited' ? Math.ceil(err.retry_after ?? 0) : 0;
      busy.value = false;
      if (err.status === 401) form.elements.password.select();
    }
  };
  const fields = wrong.value?.fields ?? {};
  const fresh = autocomplete === 'new-password';
  return html`<form class="stack" onSubmit=${send}>
    <${Field} label=${t('signin.username')} wrong=${fields.username}><input name="username" autocomplete="username" autocapitalize="none" spellcheck=${false} required defaultValue=${username} readOnly=${fixed} autofocus=${!fixed} /><//>
    <${Field} label=${t('signin.password')} hint=${fresh && t('signin.password_hint')} wrong=${fields.password}><input name="password" type="password" autocomplete=${autocomplete} required minlength=${fresh ? 8 : undefined} autofocus=${fixed} /><//>
    ${children?.(fields)}
    ${wrong.value && html`<p class="wrong" role="alert">${refusal(wrong.value)}</p>`}
    <button class="main" disabled=${busy.value || wait.value > 0}>${wait.value > 0 ? t('signin.wait', { time: span(wait.value) }) : button}</button>
  </form>`;
}

// useSetup tells whether the first account is still to be made; undefined = not known.
function useSetup() {
  const open = useSignal(undefined);
  useEffect(() => {
    get('/api/status', { open: true, tries: 1 }).then((s) => { open.value = s.setup; }, () => {});
  }, []);
  return open.value;
}

const Brand = () => html`<p class="row soft"><svg width="24" height="24" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" fill="currentColor" opacity=".16" /><g fill="currentColor"><rect x="6" y="7" width="5.5" height="18" rx="1.8" /><rect x="13.25" y="7" width="5.5" height="11" rx="1.8" /><rect x="20.5" y="7" width="5.5" height="6" rx="1.8" /></g></svg><strong>${t('app.name')}</strong></p>`;

export function SetupPage() {
  const token = useSignal(null);
  token.value ??= setupToken();
  const submit = async (fields) => {
    await post('/api/auth/register', fields, { open: true });
    await signIn(fields.username, fields.password);
    go('/', { replace: true });
  };
  if (useSetup() === false) {
    return html`<main class="plain" id="content"><${Brand} /><h1>${t('setup.done')}</h1><p>${t('setup.done_lead')}</p><a class="button main" href="/signin">${t('signin.submit')}</a></main>`;
  }
  return html`<main class="plain" id="content"><${Brand} /><h1>${t('setup.title')}</h1><p class="soft">${t('setup.lead')}</p>
    <${Form} submit=${submit} button=${t('setup.submit')} autocomplete="new-password">${(fields) => html`
      <${Field} label=${t('setup.token')} wrong=${fields.setup_token}><input name="setup_token" autocomplete="off" spellcheck=${false} required defaultValue=${token.value} /><//>`}<//></main>`;
}

// next is where a person wanted to go before they had to sign in.
const next = () => {
  const to = place.value.query.get('next');
  return to?.startsWith('/') && !to.startsWith('//') ? to : '/';
};

export function SignInPage() {
  const submit = async ({ username, password }) => {
    await signIn(username, password);
    go(next(), { replace: true });
  };
  const setup = useSetup();
  return html`<main class="plain" id="content"><${Brand} /><h1>${t('signin.title')}</h1>
    ${setup && html`<p class="notice">${t('signin.setup')}</p>`}
    <${Form} submit=${submit} button=${t('signin.submit')} autocomplete="current-password" />
    <p class="soft">${t('signin.none')} <a href="/register">${t('signin.register')}</a></p></main>`;
}

export function RegisterPage() {
  const submit = async (fields) => {
    await post('/api/auth/register', fields, { open: true });
    await signIn(fields.username, fields.password);
    go('/', { replace: true });
  };
  return html`<main class="plain" id="content"><${Brand} /><h1>${t('register.title')}</h1><p class="soft">${t('register.lead')}</p>
    <${Form} submit=${submit} button=${t('register.submit')} autocomplete="new-password" />
    <p class="soft">${t('register.have')} <a href="/signin">${t('signin.submit')}</a></p></main>`;
}

// AwayPage is for whoever has a session, while the server does not answer.
export function AwayPage() {
  const busy = useSignal(false);
  const look = async () => {
    busy.value = true;
    await begin();
    busy.value = false;
  };
  useEffect(() => {
    document.title = `${t('away.title')} · ${t('app.name')}`;
    const timer = setInterval(look, 5000);
    return () => clearInterval(timer);
  }, []);
  return html`<main class="plain" id="content"><${Brand} /><h1>${t('away.title')}</h1><p role="status">${t('away.lead')}</p>
    <button class="main" aria-disabled=${busy.value} onClick=${look}>${t('app.retry')}</button></main>`;
}

// SignInAgain lies over a page whose session ended: what was typed stays. It closes
// by a sign-in, or by leaving on purpose.
export function SignInAgain() {
  if (!ended.value) return null;
  return html`<${Dialog} title=${t('signin.title')}>
    <p>${t('signin.ended')}</p>
    <${Form} username=${me.value?.username} fixed=${Boolean(me.value)} submit=${({ username, password }) => signIn(username, password)} button=${t('signin.submit')} autocomplete="current-password" />
    <p><button class="link" type="button" onClick=${() => signOut()}>${t('signin.leave')}</button></p>
  <//>`;
}
