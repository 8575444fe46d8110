// Every word that the board says, by name; {name} is filled in. Another language is
// another table: what it lacks is said in English. A refusal of the server is said
// by its code (problem.<code>) where the language has it, else in the server's own
// words, which are English.

const en = {
  'app.name': 'Agent Kanban',
  'app.skip': 'Skip to the content',
  'app.loading': 'Loading',
  'app.close': 'Close',
  'app.cancel': 'Cancel',
  'app.save': 'Save',
  'app.retry': 'Try again',
  'app.reload': 'Load again',
  'app.undo': 'Undo',
  'app.more': 'More',
  'app.copy': 'Copy',
  'app.copied': 'Copied',
  'app.new_version': 'This server has been updated. Load the page again to go on.',
  'app.nothing': 'None',

  'theme.label': 'Theme: {name}. Change it',
  'theme.auto': 'as the system',
  'theme.light': 'light',
  'theme.dark': 'dark',

  'nav.boards': 'Boards',
  'nav.agents': 'Agents',
  'nav.docs': 'API',
  'nav.account': 'Account of {name}',

  'page.boards': 'Boards',
  'page.setup': 'First start',
  'page.signin': 'Sign in',
  'page.register': 'Make an account',
  'page.not_found': 'Not found',

  'setup.title': 'Make the first account',
  'setup.lead': 'It becomes the admin of this server. The setup token is in the address that the server printed when it started, and in the file setup-token of its data directory.',
  'setup.token': 'Setup token',
  'setup.submit': 'Make the account',
  'signin.title': 'Sign in',
  'signin.username': 'User name',
  'signin.password': 'Password',
  'signin.submit': 'Sign in',
  'signin.ended': 'Your session has ended. Sign in again; nothing that you typed is lost.',
  'signin.none': 'No account yet?',
  'signin.register': 'Make one',
  'signin.setup': 'This server has no account yet? Open the address that it printed when it started.',
  'register.title': 'Make an account',
  'register.lead': 'Boards show once somebody makes you a member of one, or when you make your own.',
  'register.submit': 'Make the account',
  'register.have': 'Have an account?',
  'signout': 'Sign out',

  'wrong.offline': 'The server cannot be reached. Check the connection.',
  'wrong.offline_since': 'No connection since {time}. Your changes wait here and are sent when it is back.',
  'wrong.waiting': '{n} changes wait',
  'wrong.title': 'Something went wrong',
  'wrong.lead': 'The page stopped working. Load it again; what was sent is safe on the server.',
  'wrong.no_access': 'No access',
  'wrong.no_access_lead': 'There is no such board, or you are not a member of it. Ask who runs it to add {name}.',
  'wrong.not_found': 'There is nothing at this address.',
  'wrong.to_boards': 'To the boards',

  'live.live': 'Live',
  'live.connecting': 'Connecting',
  'live.offline': 'Offline',
  'live.viewers': 'Here too: {names}',
  'live.past': 'Past',
  'live.title': 'Changes arrive as they happen.',
  'live.title_connecting': 'Reconnecting; what is missed meanwhile follows.',

  'boards.title': 'Boards',
  'boards.new': 'New board',
  'boards.name': 'Name',
  'boards.key': 'Key',
  'boards.key_hint': 'Begins the names of its tickets: WEB-12. Made from the name if empty.',
  'boards.description': 'Description',
  'boards.create': 'Make the board',
  'boards.sample': 'Fill it with a sample to look around',
  'boards.empty': 'No boards yet',
  'boards.empty_lead': 'A board has columns and tickets. People and agents work on it together, and every change stays in its history.',
  'boards.archived': 'Archived',
  'boards.show_archived': 'Show archived',
  'boards.open': '{n} open',
  'boards.done': '{n} done',
  'boards.held': '{n} held',
  'boards.blocked': '{n} blocked',
  'boards.active': 'Active {time}',
  'boards.quiet': 'No activity yet',

  'board.add': 'Add a ticket',
  'board.add_title': 'Title of the new ticket in {column}',
  'board.add_placeholder': 'What has to be done?',
  'board.add_submit': 'Add',
  'board.column_empty': 'Nothing here',
  'board.limit': '{n} of {limit}, the limit of this column',
  'board.over': 'Over its limit of {limit}',
  'board.count': '{n} tickets',
  'board.archived': 'This board is archived and read only.',
  'board.frozen': 'This board is frozen: agents and members may not change it until a pm unfreezes it.',
  'board.read_only': 'You may look, not change.',
  'board.empty': 'This board is empty',
  'board.empty_lead': 'Add a first ticket in a column, or let agents add theirs through the API.',
  'board.resync': 'The board was loaded anew.',

  'card.open': 'Open {key}',
  'card.blocked': 'Blocked',
  'card.blocked_by': 'Waits for {keys}',
  'card.waiting': 'Waits for approval',
  'card.approved': 'Approved',
  'card.rejected': 'Rejected',
  'card.held': 'Held by {name}, {time} left',
  'card.held_out': 'Held by {name}; its lease is about to end',
  'card.assigned': 'Assigned to {name}',
  'card.checklist': '{done} of {n} items done',
  'card.comments': '{n} comments',
  'card.due': 'Due {time}',
  'card.age': '{time} in this column',
  'card.age_fresh': '{time} in this column: less than half of what left it took ({p50})',
  'card.age_slow': '{time} in this column: longer than half of what left it ({p50}), less than 85 % ({p85})',
  'card.age_late': '{time} in this column: longer than 85 % of what left it ({p85})',

  'priority.low': 'Low',
  'priority.medium': 'Medium',
  'priority.high': 'High',
  'priority.urgent': 'Urgent',
  'kind.backlog': 'Backlog',
  'kind.active': 'Active',
  'kind.blocked': 'Blocked',
  'kind.review': 'Review',
  'kind.done': 'Done',
  'role.pm': 'pm',
  'role.agent': 'agent',
  'role.viewer': 'viewer',
  'role.admin': 'admin',

  'move.done': '{key} is in {column}.',
  'move.refused': '{key} stays in {column}. {why}',
  'move.anyway': 'Move it anyway',
  'move.added': '{key} was added to {column}.',
  'undone': 'Taken back.',

  'time.now': 'just now',

  // panel

  // history

  // filter and lanes

  // keys and palette

  // time

  // diff

  // flow

  // settings

  // agents

  // account
};

const tables = { en };
const language = (navigator.languages ?? ['en']).map((l) => l.split('-')[0]).find((l) => tables[l]) ?? 'en';

// t returns a text by its name. An unknown name is a mistake of ours and shows as it
// is.
export function t(name, values) {
  const text = tables[language][name] ?? en[name] ?? name;
  return values ? text.replace(/\{(\w+)\}/g, (whole, key) => (values[key] ?? whole)) : text;
}

// refusal says why the server refused.
export function refusal(problem) {
  return (language !== 'en' && tables[language][`problem.${problem.code}`]) || problem.detail || problem.message;
}

// Numbers have thin spaces, as in 18 204.
const numbers = new Intl.NumberFormat('en', { useGrouping: true, maximumFractionDigits: 1 });
export const number = (n) => numbers.format(n).replaceAll(',', '\u2009');

const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' });
const exactForm = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' });
const units = [['year', 31557600], ['month', 2629800], ['week', 604800], ['day', 86400], ['hour', 3600], ['minute', 60]];

// ago is a time as people say it; exact is for the hover.
export function ago(at, now = Date.now()) {
  const seconds = (new Date(at).getTime() - now) / 1000;
  for (const [unit, size] of units) if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  return t('time.now');
}
export const exact = (at) => exactForm.format(new Date(at));

// span is a length of time in at most two parts: 2 d 4 h.
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h${s % 3600 >= 60 && s < 36000 ? ` ${Math.floor((s % 3600) / 60)} min` : ''}`;
  return `${Math.floor(s / 86400)} d${s % 86400 >= 3600 && s < 864000 ? ` ${Math.floor((s % 86400) / 3600)} h` : ''}`;
}
