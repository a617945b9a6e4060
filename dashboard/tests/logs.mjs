// The log: found by words and filters, zoomed into, followed live, and one request as a timeline. The audit log: what changed.
import { readFileSync } from 'node:fs';

import { accessible, base, browse, check, open, shot, signIn, tour } from './kit.mjs';

const rows = (page) => page.getByRole('gridcell').locator('.open');
const ready = (page) => rows(page).first().waitFor();

const dialog = (page) => page.getByRole('dialog');
/** Opens the dialog of exports, and gives what the file has in it. */
async function exported(page, format) {
  await page.getByRole('button', { name: 'Export', exact: true }).click();
  await dialog(page).getByLabel('Format').selectOption(format);
  const [file] = await Promise.all([page.waitForEvent('download'), dialog(page).getByRole('button', { name: 'Export' }).click()]);
  return [file.suggestedFilename(), readFileSync(await file.path(), 'utf8')];
}

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

  // As a file: what the filter shows and no more, the data of requests in columns of their own.
  const [csvName, csv] = await exported(page, 'csv');
  await dialog(page).getByText('1 entry exported.').waitFor();
  await accessible(page, 'an export');
  const [header, only, ...more] = csv.trim().split('\r\n');
  check(csvName === 'logs.csv' && more.length === 0, csv);
  check(header.startsWith('id,created,level,message,type,status,method,url,'), header);
  check(only.includes(',404,GET,/api/collections/nowhere/records?n=7,'), only);
  await page.keyboard.press('Escape');
  const [jsonName, json] = await exported(page, 'jsonl');
  check(jsonName === 'logs.jsonl' && JSON.parse(json).data.url.endsWith('n=7'), json);
  await page.keyboard.press('Escape');

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
  await page.keyboard.press('Escape');
  const [, audited] = await exported(page, 'csv');
  const lines = audited.trim().split('\r\n');
  check(lines.length === 2 && lines[0].startsWith('id,created,action,') && lines[0].endsWith(',changes'), audited);
  check(lines[1].includes('record.update,posts,') && lines[1].includes('""after"":""a green tree""'), lines[1]);
  await page.keyboard.press('Escape');

  // More than a file takes: cancelled while it is read, then read to the bound, every entry once.
  await page.locator('[data-search]').fill(`action = "many"`);
  await page.keyboard.press('Enter');
  await page.getByText('100,003 entries').waitFor();
  await page.getByRole('button', { name: 'Export', exact: true }).click();
  await dialog(page).getByRole('button', { name: 'Export' }).click();
  await dialog(page).getByText(/^[1-9][\d,]* entries so far/).waitFor();
  await accessible(page, 'an export that runs');
  await dialog(page).getByRole('button', { name: 'Cancel' }).click();
  await dialog(page).getByText('No file was made').waitFor();
  await dialog(page).getByRole('button', { name: 'Close' }).last().click();
  const [, many] = await exported(page, 'jsonl');
  await dialog(page).getByText('The file is full; 3 older entries').waitFor();
  await shot(page, 'audit-export');
  const ids = many.trim().split('\n').map((line) => JSON.parse(line).id);
  check(ids.length === 100_000 && new Set(ids).size === ids.length, `${ids.length} entries`);
  check(ids[0] === 'many0000100002' && ids.at(-1) === 'many0000000003', `${ids[0]} to ${ids.at(-1)}`);
}, { expected: ['400'] });

await tour([
  ['logs', '/logs', ready],
  ['audit', '/logs/audit', ready],
]);
