// A small board to look around in: what a team of one person and some agents may have.
import { post } from '../lib/api.js';

export async function sample(board) {
  const [todo, doing, , review, done] = board.columns;
  const ticket = (as, title, column, more = {}) => ({ type: 'create_ticket', data: { board: board.key, as, title, column: column.name, ...more } });
  await post('/api/commands', [
    ticket('plan', 'Write down what the first version must do', done, { priority: 'high', labels: ['planning'] }),
    ticket('api', 'Sign-in with a one-time code', doing, { priority: 'urgent', labels: ['api', 'security'], description: 'People who forget passwords should get in **without** one.\n\n- send a code by mail\n- it works once, for ten minutes', checklist: ['Codes are stored as a sum only', 'A code works once', 'Guessing is limited'] }),
    ticket('mail', 'Send mail through the new provider', doing, { labels: ['api'] }),
    ticket('form', 'Form for the code', todo, { labels: ['web'], depends_on: ['$api'] }),
    ticket('docs', 'Describe the sign-in for users', todo, { priority: 'low', labels: ['docs'], depends_on: ['$form'] }),
    ticket('load', 'See how many sign-ins a second one server takes', review, { priority: 'medium', labels: ['performance'] }),
    ticket('icon', 'An icon that is clear at 16 pixels', todo, { priority: 'low', labels: ['web', 'design'] }),
  ]);
}
