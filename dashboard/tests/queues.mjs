// Jobs that were given up; streams, groups, messages and dead letters; webhooks and their deliveries.
import { accessible, base, browse, check, open, signIn, tour } from './kit.mjs';

const cells = (page) => page.getByRole('gridcell').locator('.open');
const dialog = (page) => page.getByRole('dialog');
const press = (within, name) => within.getByRole('button', { name, exact: true }).click();

async function jobs(page) {
  await open(page, '/tools/jobs');
  const mail = page.getByRole('button', { name: /^Mail/ });
  await mail.getByText('Dead 2').waitFor();
  await page.getByRole('tab', { name: 'Dead 3' }).click();
  await page.getByText('the mail server is asleep').first().waitFor();
  await accessible(page, 'dead jobs');

  // One with its error, deleted; then all that are left of its queue tried again.
  await mail.click();
  await cells(page).first().click();
  await dialog(page).getByText('the mail server is asleep').waitFor();
  await accessible(page, 'a job');
  await press(dialog(page), 'Delete');
  await press(dialog(page).last(), 'Delete');
  await page.getByText('1 job deleted').waitFor();
  await mail.getByText('Dead 1').waitFor();
  await mail.click();
  await page.getByRole('tab', { name: 'Dead 2' }).waitFor();
  await page.getByRole('button', { name: 'Retry all dead (2)' }).click();
  await press(dialog(page), 'Try again');
  await page.getByText('2 jobs will be tried again').waitFor();
  await page.getByText('Nothing was given up').waitFor();
}

async function queues(page, send) {
  await open(page, '/tools/queues');
  await press(page.locator('main .empty'), 'New stream');
  await page.getByLabel('Name').fill('or ders');
  await page.getByLabel('Subjects').fill('orders.>');
  await press(dialog(page), 'Save');
  await page.locator('[aria-invalid=true]').waitFor();
  await accessible(page, 'a stream with a fault');
  await page.getByLabel('Name').fill('orders');
  await press(dialog(page), 'Save');
  await page.getByRole('heading', { name: 'orders' }).waitFor();

  await press(page, 'New group');
  await page.getByLabel('Name').fill('mail');
  await page.getByLabel('Deliveries at most').fill('1');
  await press(dialog(page), 'Save');
  const group = page.getByRole('row', { name: 'mail' });
  await group.waitFor();

  // Published by hand: what is wrong is said at its field.
  await page.getByRole('button', { name: 'Publish' }).first().click();
  await page.getByRole('combobox', { name: 'Subject' }).fill('other.thing');
  await page.getByLabel('Data', { exact: true }).fill('{"total": }');
  await press(dialog(page), 'Publish');
  await dialog(page).getByText('not valid JSON').waitFor();
  await page.getByLabel('Data', { exact: true }).fill('{"total": 12}');
  await press(dialog(page), 'Publish');
  await dialog(page).getByText('does not take this subject').waitFor();
  await page.getByRole('combobox', { name: 'Subject' }).fill('orders.eu.created');
  await press(dialog(page), 'Publish');
  await page.getByText('Published as').waitFor();
  await accessible(page, 'publishing');
  await press(dialog(page).locator('footer'), 'Close');
  await page.getByRole('row', { name: 'orders.eu.created' }).getByText('{"total":12}').waitFor();

  // Given up by its group, and delivered again.
  const { messages } = await send('POST', '/api/queues/orders/groups/mail/pull', { max: 1 });
  await send('POST', '/api/queues/orders/groups/mail/nak', { receipts: [messages[0].receipt] });
  await group.getByRole('button', { name: '1', exact: true }).or(group.locator('button.danger')).first().click();
  await dialog(page).getByText('orders.eu.created').waitFor();
  await accessible(page, 'dead letters');
  await press(dialog(page), 'Retry all');
  await page.getByText('1 letter will be delivered again').waitFor();
  await dialog(page).getByText('No dead letters').waitFor();
  await page.keyboard.press('Escape');
  check((await send('POST', '/api/queues/orders/groups/mail/pull', { max: 1 })).messages.length === 1, 'it is delivered again');
}

async function webhooks(page, send) {
  await open(page, '/tools/webhooks');
  await press(page.locator('main .empty'), 'New webhook');
  await page.getByLabel('Address').fill('ftp://example.com');
  await page.getByLabel('Name', { exact: true }).fill('billing');
  await press(dialog(page), 'Add a header');
  await page.getByLabel('Name of header 1').fill('host');
  await press(dialog(page), 'Save');
  await dialog(page).getByText('Is set by the delivery itself.').waitFor();
  await page.locator('[aria-invalid=true]').first().waitFor();
  await accessible(page, 'a webhook with faults');
  await page.getByLabel('Name of header 1').fill('x-who');
  await page.getByLabel('Value of header 1').fill('pando');
  await page.getByLabel('Address').fill(`${process.env.SINK}/hook`);
  await page.getByLabel('posts').check();
  await press(dialog(page), 'Save');
  const secret = await page.getByRole('dialog', { name: 'Secret', exact: true }).locator('pre').innerText();
  check(secret.startsWith('whsec_'), 'the secret is shown');
  await accessible(page, 'the secret');
  await press(dialog(page), 'I have copied it');

  // A trial, then an event that comes by itself.
  await page.getByRole('heading', { name: 'billing' }).waitFor();
  await page.getByRole('button', { name: 'Send a test' }).first().click();
  await dialog(page).getByText('thank you').waitFor();
  check((await dialog(page).innerText()).includes('webhook.test'), 'the request is shown');
  await accessible(page, 'a delivery');
  await page.keyboard.press('Escape');
  await send('POST', '/api/collections/posts/records', { title: 'told' });
  await page.getByRole('row', { name: 'record.created' }).getByText('Delivered').waitFor();

  // To an address that fails: seen, mended, sent again.
  await press(page, 'Edit');
  await page.getByLabel('Address').fill(`${process.env.SINK}/broken`);
  await press(dialog(page), 'Save');
  await page.getByText('/broken').waitFor();
  await page.getByRole('row', { name: 'record.created' }).locator('.open').click();
  await press(dialog(page), 'Send again');
  await dialog(page).getByText('500').first().waitFor();
  await page.keyboard.press('Escape');
  await page.getByText('Failing').waitFor();

  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'New secret' }).click();
  await press(dialog(page), 'Make a new secret');
  const rotated = await page.getByRole('dialog', { name: 'Secret', exact: true }).locator('pre').innerText();
  check(rotated.startsWith('whsec_') && rotated !== secret, 'the secret is another one');
  await press(dialog(page), 'I have copied it');
  await page.getByText('The old secret signs until').waitFor();
  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Switch off' }).click();
  await page.getByText('Off', { exact: true }).waitFor();
  return page.evaluate(() => location.hash.slice(1).split('?')[0]);
}

let webhook = '';
await browse(async (page) => {
  await signIn(page);
  const { token } = JSON.parse(await page.evaluate(() => localStorage.getItem('pando.session')));
  const send = async (method, path, body) => {
    const headers = { Authorization: token, 'Content-Type': 'application/json' };
    const answer = await fetch(base + path, { method, headers, body: JSON.stringify(body) });
    const text = await answer.text();
    check(answer.ok, `${path}: ${text}`);
    return text ? JSON.parse(text) : null;
  };
  await jobs(page);
  await queues(page, send);
  webhook = await webhooks(page, send);
}, { expected: ['400', '404'] });

const table = (page) => page.getByRole('table').first().waitFor();
await tour([
  ['jobs', '/tools/jobs', (page) => page.locator('main ul button').first().waitFor()],
  ['queues', '/tools/queues', table],
  ['stream', '/tools/queues/orders', table],
  ['webhooks', '/tools/webhooks', table],
  ['webhook', webhook, (page) => cells(page).first().waitFor()],
]);
