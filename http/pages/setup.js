const form = document.getElementById('setup');
const outcome = document.getElementById('outcome');

// The token is in the fragment, which browsers send to no server; it leaves
// the address bar too.
const token = new URLSearchParams(location.hash.slice(1)).get('token');
if (token) {
  form.elements.setup_token.value = token;
  history.replaceState(null, '', location.pathname);
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = form.querySelector('button');
  button.disabled = true;
  outcome.textContent = 'Making the account…';
  try {
    const reply = await fetch('/api/auth/register', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
    });
    const body = await reply.json();
    if (!reply.ok) throw new Error(body.detail);
    form.hidden = true;
    outcome.textContent = `Done: ${body.username} is the admin. Sign in with POST /api/auth/login or with the kanban command.`;
  } catch (err) {
    outcome.textContent = err.message || 'The server could not be reached. Try again.';
    button.disabled = false;
  }
});
