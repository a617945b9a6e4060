// The log: found by words and filters, zoomed into, followed live, and one request as a timeline. The audit log: what changed.
import { accessible, base, browse, check, open, signIn, tour } from './kit.mjs';

const rows = (page) => page.getByRole('gridcell').locator('.open');
const ready = (page) => rows(page).first().waitFor();

await browse(async (page) => {
  await signIn(page);
  await open(page, '/logs');
  // The page before has a search and rows, too.
  await page.getByRole('columnheader', { name: 'Level' }).waitFor();
  await ready(page);

  // Words, and what is chosen besides.
  await page.keyboard.press('/');
  await page.keyboard.type('nowhere');
  await page.keyboard.press('Enter');
  await page.getByText('30 entries').waitFor();
  await page.getByLabel('Status').selectOption('4');
  await page.getByText('30 entries').waitFor();
  await page.getByLabel('Status').selectOption('2');
  await page.getByText('Nothing matches').waitFor();
  await page.getByLabel('Status').selectOption('');

  // The language of filters, kept in the address.
  await page.locator('[data-search]').fill('data.url ~ "n=7" && data.status = 404');
  await page.keyboard.press('Enter');
  await page.getByText('1 entry').waitFor();
  await page.reload();
  await page.getByText('1 entry').waitFor();

  // One entry with its data, and all of its request.
  await rows(page).first().click();
  await page.getByRole('dialog').getByText('requestId').first().waitFor();
  await accessible(page, 'an entry');
  await page.getByRole('button', { name: 'All of this request' }).click();
  await page.locator('dialog .track').first().waitFor();
  await accessible(page, 'a request');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');

  // What cannot be read is told.
  await page.locator('[data-search]').fill('level >>> (');
  await page.keyboard.press('Enter');
  await page.getByText('cannot be read').waitFor();
  await page.locator('[data-search]').focus();
  await page.keyboard.press('Escape');
  await ready(page);

  // A span of the histogram, by keys, and back.
  const histogram = page.getByRole('application');
  const all = page.getByRole('button', { name: 'Show all times' });
  // Figures that come meanwhile draw it anew, without what was begun.
  for (let turn = 0; turn < 20 && !(await all.isVisible()); turn += 1) {
    await histogram.focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Shift+ArrowLeft');
    await page.keyboard.press('Enter');
    await all.waitFor({ timeout: 2000 }).catch(() => {});
  }
  await all.click();
  await all.waitFor({ state: 'detached' });

  // What is written from now on comes by itself.
  await page.getByRole('button', { name: 'Live' }).click();
  await page.getByText('every two seconds').waitFor();
  await (await fetch(`${base}/api/collections/nowhere/records?live=yes`)).text();
  await page.getByRole('gridcell', { name: 'live=yes' }).waitFor();

  await open(page, '/logs/audit');
  await page.getByRole('columnheader', { name: 'Changes' }).waitFor();
  await page.locator('[data-search]').fill('action = "record.update" && collection = "posts"');
  await page.keyboard.press('Enter');
  await page.getByText('1 entry').waitFor();
  await rows(page).first().click();
  await page.locator('mark.before', { hasText: 'red' }).or(page.locator('mark.before')).first().waitFor();
  check((await page.locator('dialog table').innerText()).includes('a green tree'), 'what is after is shown');
  await accessible(page, 'an entry of the audit log');
}, { expected: ['400'] });

await tour([
  ['logs', '/logs', ready],
  ['audit', '/logs/audit', ready],
]);
