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
  'flow.of': 'Flow of {name}',
  'flow.changes': 'Changes',
  'flow.range': 'Range',
  'flow.range_days': '{n} days',
  'flow.range_all': 'All',
  'flow.range_custom': 'Custom',
  'flow.range_from': 'From',
  'flow.range_to': 'to',
  'flow.bucket': 'By',
  'flow.bucket_auto': 'what fits',
  'flow.bucket_auto_is': 'what fits ({name})',
  'flow.bucket_hour': 'hour',
  'flow.bucket_day': 'day',
  'flow.bucket_week': 'week',
  'flow.shown': '{from} to {to}. Days begin at midnight UTC, weeks on Monday.',
  'flow.as_of': 'As of {time}',
  'flow.all_tables': 'Tables',
  'flow.table': 'Table',
  'flow.table_of': 'Table of {name}',
  'flow.csv_of': '{name} as a CSV file',
  'flow.saved': '{name} was saved.',
  'flow.how': 'How to read this',
  'flow.now': 'now',
  'flow.now_n': 'now {n}',
  'flow.time': 'Time',
  'flow.week_of': 'Week of {day}',
  'flow.so_far': 'So far',
  'flow.mean': 'mean {n}',
  'flow.together': '{n} together',
  'flow.removed': '{name} (removed)',
  'flow.columns_shown': 'Columns shown',
  'flow.ticket': '{n} ticket',
  'flow.tickets': '{n} tickets',
  'flow.none': 'No ticket was created or done in this range.',
  'flow.none_done': 'No ticket was done in this range.',
  'flow.cumulative': 'Cumulative flow',
  'flow.cumulative_grew': 'Open work grew from {before} to {after}.',
  'flow.cumulative_shrank': 'Open work shrank from {before} to {after}.',
  'flow.cumulative_same': 'Open work stayed at {after}.',
  'flow.cumulative_none': 'No ticket was on the board in this range.',
  'flow.cumulative_why': 'Each band is a column, as high as the tickets in it. A band that widens is where work piles up; bands of even width mean that what comes in also goes out. The axis may begin above zero, where the lowest band is high. The columns under the drawing can be hidden.',
  'flow.throughput': 'Throughput',
  'flow.throughput_grew': '{done} done and {created} created: {n} more came than went.',
  'flow.throughput_shrank': '{done} done and {created} created: {n} more went than came.',
  'flow.throughput_same': '{done} done and as many created.',
  'flow.throughput_why': 'Bars are tickets that came to be done, the line is tickets created. A ticket counts once, when it was last moved to a column of kind done. The last bar is pale where its time is not over.',
  'flow.done': 'Done',
  'flow.created': 'Created',
  'flow.wip': 'In work',
  'flow.wip_now': '{tickets} in work now; {mean} on average, {most} at most.',
  'flow.wip_then': '{tickets} in work at the end; {mean} on average, {most} at most.',
  'flow.wip_none': 'No ticket was in work in this range.',
  'flow.wip_why': 'Tickets in columns of kind active, blocked or review: {columns}. The more are in work at once, the longer each takes.',
  'flow.scatter': 'Cycle and lead time',
  'flow.time_cycle': 'Cycle time',
  'flow.time_lead': 'Lead time',
  'flow.times_cycle': 'Half of the tickets took {p50} of work or less, 85 % {p85} or less.',
  'flow.times_lead': 'Half of the tickets were done {p50} after they were created, 85 % within {p85}.',
  'flow.times_one': '{key} took {time}, the only one in this range.',
  'flow.times_cycle_why': 'Each dot is a ticket: across, when it was done; upwards, how long from the first work on it. The lines are what 50, 85 and 95 % of them stayed under. A dot opens its ticket.',
  'flow.times_lead_why': 'Each dot is a ticket: across, when it was done; upwards, how long from its creation. The lines are what 50, 85 and 95 % of them stayed under. A dot opens its ticket.',
  'flow.times_newest': 'Shown are the newest {n} of {all}; the lines are of all.',
  'flow.times_unknown': 'Of {tickets} no work is known, so that there is no cycle time.',
  'flow.done_by': 'Done {time} by {name}',
  'flow.axis': 'Axis',
  'flow.axis_linear': 'Linear',
  'flow.axis_log': 'Log',
  'flow.key': 'Ticket',
  'flow.title': 'Title',
  'flow.by': 'By',
  'flow.column': 'Column',
  'flow.holder': 'Who',
  'flow.age': 'In column',
  'flow.work_age': 'In work',
  'flow.rank': 'Longer than',
  'flow.rank_is': 'Longer than {n} % of those that left this column',
  'flow.rank_none': 'None has left this column yet',
  'flow.held_by': 'Held by {name}',
  'flow.aging': 'Age of work',
  'flow.aging_late': '{n} of {tickets} in work took longer than 85 % do. {key} has been in {column} the longest: {time}.',
  'flow.aging_fine': 'None of {tickets} in work is late. {key} has been in {column} the longest: {time}.',
  'flow.aging_none': 'No ticket is in work.',
  'flow.aging_oldest': 'Shown are the oldest {n} of {all}.',
  'flow.aging_now': 'These are the tickets in work now, not at the end of the range.',
  'flow.aging_why': 'Each dot is a ticket in work now, as high as its time in its column. The ground shows how long those took that have left the column: green up to half of them, amber up to 85 %, red beyond; a round dot, a diamond and a square say the same. A dot opens its ticket.',
  'flow.agents': 'Agents and people',
  'flow.agents_n': '{n} agents and people',
  'flow.agents_did': '{who}: {n} claims finished, {rework} times rework, {lost} leases lost.',
  'flow.agents_none': 'Nobody claimed a ticket or reported usage in this range.',
  'flow.agents_why': 'Finished are claims that ended with the ticket complete. Rework counts tickets that came back from review or done to whoever had them last. A lease is lost when nothing is heard of its holder. The median is of the cycle time of tickets done in this range that one claimed last.',
  'flow.who': 'Who',
  'flow.agents_claimed': 'Claimed',
  'flow.agents_finished': 'Finished',
  'flow.agents_rework': 'Rework',
  'flow.agents_lost': 'Leases lost',
  'flow.agents_tokens_in': 'Tokens in',
  'flow.agents_tokens_out': 'Tokens out',
  'flow.agents_cost': 'Cost',
  'flow.agents_median': 'Median cycle',
  'flow.forecast': 'Forecast',
  'flow.forecast_open': 'The open work ({tickets}) will be done by {date}, with 85 % certainty.',
  'flow.forecast_n': '{tickets} will be done by {date}, with 85 % certainty.',
  'flow.forecast_nothing': 'Nothing is left to be done.',
  'flow.forecast_little': 'There is too little history for a forecast.',
  'flow.forecast_why': 'A simulation plays {draws} futures. Each is made of days drawn from the {days} whole days of this range, on which {mean} tickets were done on average, and says when the work is done. It holds if the coming days are like those: choose the range accordingly.',
  'flow.forecast_when': 'When are the next',
  'flow.forecast_when_end': 'tickets done?',
  'flow.forecast_items': 'Number of tickets',
  'flow.forecast_reset': 'Use the number of open tickets',
  'flow.forecast_share': '{n} % certain',
  'flow.forecast_many': 'How many will be done at least?',
  'flow.forecast_by': 'By',
  'flow.forecast_day': '{date}, in {n} days',
  'flow.forecast_far': 'in more than ten years',
  'flow.forecast_already': 'done',

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
