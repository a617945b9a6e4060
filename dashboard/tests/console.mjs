// The SQL console: what reads, what writes and is asked about first, and what fails. Realtime: events as clients get them, also after
// the connection broke.
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';

import { accessible, base, browse, check, open, shot, signIn, tour } from './kit.mjs';

const run = (page) => page.keyboard.press('Control+Enter');
const editor = (page) => page.getByLabel('SQL statement');
const cells = (page) => page.getByRole('gridcell').locator('.open');

async function ask(page, sql) {
  await editor(page).fill(sql);
  await run(page);
}

await browse(async (page) => {
  await signIn(page);
  await open(page, '/tools/sql');

  // A table at the side, and its first rows.
  await page.getByRole('button', { name: 'Show rows of posts' }).click();
  await page.getByText('3 rows', { exact: true }).waitFor();
  check((await editor(page).inputValue()).includes('FROM posts'), 'the statement of a look is in the editor');
  await ask(page, "-- names\nSELECT id, title, views, NULL AS missing FROM posts ORDER BY title");
  await page.getByRole('columnheader', { name: 'missing' }).waitFor();
  check((await page.locator('pre .keyword').first().innerText()) === 'SELECT', 'keywords are coloured');
  await page.getByRole('button', { name: 'views' }).click();
  await page.getByRole('button', { name: 'views' }).click();
  await page.locator('[aria-sort=descending]').waitFor();
  check((await cells(page).first().innerText()) === 'ccccccccccccccc', 'numbers are sorted as numbers');
  const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'CSV' }).click()]);
  const csv = readFileSync(await saved.path(), 'utf8');
  check(csv.startsWith('id,title,views,missing\r\nccccccccccccccc,"with, comma",10,\r\n'), csv);
  await cells(page).first().click();
  await page.getByRole('dialog').getByText('with, comma').waitFor();
  await accessible(page, 'a row');
  await page.keyboard.press('Escape');

  // What is selected runs alone.
  await editor(page).fill('SELECT 1 AS one; SELECT 2 AS two');
  await editor(page).evaluate((area) => area.setSelectionRange(0, 15));
  await run(page);
  await page.getByRole('columnheader', { name: 'one' }).waitFor();

  // What writes is asked about; what fails is told in the engine's words.
  await ask(page, 'UPDATE posts SET views = views + 1');
  const dialog = page.getByRole('dialog');
  await dialog.getByText('UPDATE without WHERE').waitFor();
  await accessible(page, 'the warning');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await ask(page, 'SELECT sum(views) AS sum FROM posts');
  await page.getByRole('gridcell', { name: '14', exact: true }).waitFor();
  await ask(page, "UPDATE posts SET views = views + 1 WHERE title <> 'UPDATE posts;'");
  await dialog.getByText('This script writes: UPDATE.').waitFor();
  await dialog.getByRole('button', { name: 'Run' }).click();
  await page.getByText('3 rows written').first().waitFor();
  await ask(page, 'WITH a AS (SELECT 1) SELECT * FROM nowhere');
  await page.getByRole('alert').getByText('no such table: nowhere').waitFor();
  await accessible(page, 'an error');

  // What was run is there again after a reload, in this browser.
  await page.reload();
  check((await editor(page).inputValue()).includes('nowhere'), 'the draft is kept');
  await page.getByRole('tab', { name: 'History' }).click();
  await page.getByRole('button', { name: 'sum(views)' }).click();
  await run(page);
  await page.getByRole('gridcell', { name: '17', exact: true }).waitFor();
}, { expected: ['400'] });

// What is typed is completed, by keys alone.
await browse(async (page) => {
  await signIn(page);
  await open(page, '/tools/sql');
  await editor(page).waitFor();
  const list = page.getByRole('listbox', { name: 'Completions' });
  const offered = () => list.getByRole('option').locator('code').allInnerTexts();
  const text = () => editor(page).inputValue();
  const type = (typed) => page.keyboard.type(typed);
  const begin = async (sql) => {
    await editor(page).fill(sql);
    await list.waitFor({ state: 'hidden' });
  };
  await editor(page).focus();

  // Words of the language, tables, and the columns of an alias. Tab takes the first; so does Enter what the arrows chose.
  await type('sel');
  await list.waitFor();
  check((await offered()).join() === 'SELECT', 'words of the language are offered');
  await accessible(page, 'completions');
  await page.keyboard.press('Tab');
  check((await text()) === 'SELECT', 'Tab takes the first');
  await type(' p. FROM ');
  await list.getByText('users', { exact: true }).waitFor();
  check((await offered()).includes('_superusers'), 'tables of the system are offered');
  await type('po');
  await page.keyboard.press('ArrowDown');
  check(await editor(page).getAttribute('aria-activedescendant') === await list.locator('[aria-selected=true]').getAttribute('id'), 'what is chosen is told');
  await page.keyboard.press('Enter');
  check((await text()) === 'SELECT p. FROM posts', await text());
  await type(' AS p');
  await editor(page).evaluate((area) => area.setSelectionRange(9, 9));
  await type('ti');
  await list.waitFor();
  check((await offered()).join() === 'title', (await offered()).join());
  await shot(page, 'sql-completion');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  check((await text()) === 'SELECT p.title FROM posts AS p', await text());

  // What was taken can be undone, and the statement runs.
  await page.keyboard.press('Control+z');
  check((await text()) !== 'SELECT p.title FROM posts AS p', 'a completion can be undone');
  await begin('SELECT count(p.ti) AS n FROM posts p WHERE ');
  await type('vie');
  await list.waitFor();
  await page.keyboard.press('Control+Enter');
  await list.waitFor({ state: 'hidden' });
  check((await text()).endsWith('WHERE vie'), 'what runs is not completed');
  await page.getByRole('alert').waitFor();

  // Enter that nobody chose by is a new line; Escape closes the list and no more.
  await begin('');
  await type('SELECT id FROM pos');
  await list.waitFor();
  await page.keyboard.press('Enter');
  check((await text()) === 'SELECT id FROM pos\n', JSON.stringify(await text()));
  await type('wher');
  await list.waitFor();
  await page.keyboard.press('Escape');
  await list.waitFor({ state: 'hidden' });
  check((await text()).endsWith('wher'), 'Escape takes nothing');

  // Asked for, everything is there; within texts and comments, nothing is.
  await begin('UPDATE posts SET ');
  await page.keyboard.press('Control+Space');
  await list.waitFor();
  check((await offered()).slice(0, 3).join() === 'id,title,views', (await offered()).join());
  await page.keyboard.press('Enter');
  check((await text()) === 'UPDATE posts SET id', await text());
  for (const inside of ["SELECT 'pos", '-- sel', 'SELECT 1']) {
    await begin(inside);
    await page.keyboard.press('Control+Space');
    check(!(await list.isVisible()), `nothing is offered in ${inside}`);
  }
  // Only the statement with the caret counts; names that need quotes have them.
  await begin('SELECT * FROM posts; SELECT * FROM users WHERE ');
  await type('tok');
  await list.waitFor();
  check((await offered()).join() === '"tokenKey"', (await offered()).join());
  await begin('SELECT * FROM posts p, users u WHERE ');
  await type('u."tok');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  check((await text()).endsWith('u."tokenKey"'), await text());
}, { expected: ['400'] });

/** Stands between the page and the server, and breaks every connection when it is told to. */
const sockets = new Set();
const between = createServer((near) => {
  const far = connect(Number(new URL(base).port), '127.0.0.1');
  for (const socket of [near, far]) {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => {
      sockets.delete(socket);
      near.destroy();
      far.destroy();
    });
  }
  near.pipe(far).pipe(near);
});
await new Promise((resolve) => between.listen(0, '127.0.0.1', resolve));

await browse(async (page) => {
  await signIn(page);
  const kept = await page.evaluate(() => localStorage.getItem('pando.session'));
  const Authorization = JSON.parse(kept).token;
  const write = async (method, path, body) => {
    const answer = await fetch(`${base}/api/collections/posts/records${path}`, {
      method,
      headers: { Authorization, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    check(answer.ok, await answer.clone().text());
  };
  await page.addInitScript((session) => localStorage.setItem('pando.session', session), kept);
  await page.goto(`http://127.0.0.1:${between.address().port}/_/#/tools/realtime`);
  await page.getByText('Connected').waitFor();

  // A topic is completed; a filter leaves out what does not fit.
  await page.getByRole('combobox', { name: 'Topic' }).fill('pos');
  await page.getByRole('option', { name: 'posts/*' }).waitFor();
  await accessible(page, 'topics');
  await page.keyboard.press('Tab');
  await page.getByRole('button', { name: 'Options' }).click();
  await page.getByLabel('Filter').fill('vie');
  await page.getByRole('option', { name: 'views' }).waitFor();
  await page.getByLabel('Filter').fill('views > 100');
  await page.getByLabel('Fields').fill('id,views');
  const [told] = await Promise.all([
    page.waitForResponse((response) => response.url().endsWith('/api/realtime') && response.request().method() === 'POST'),
    page.getByRole('button', { name: 'Subscribe', exact: true }).click(),
  ]);
  check(told.status() === 204, 'the topic is subscribed to');
  await write('PATCH', '/aaaaaaaaaaaaaaa', { views: 5 });
  await write('PATCH', '/aaaaaaaaaaaaaaa', { views: 500 });
  await page.getByText('1 event', { exact: true }).waitFor();
  await cells(page).first().click();
  const shown = await page.getByRole('dialog').locator('pre').innerText();
  check(shown.includes('500') && !shown.includes('title'), shown);
  await accessible(page, 'an event');
  await page.keyboard.press('Escape');

  // While it is paused, events are held back.
  await page.getByRole('button', { name: 'Pause' }).click();
  await write('PATCH', '/aaaaaaaaaaaaaaa', { views: 501 });
  await page.getByRole('button', { name: 'Go on (1 held)' }).click();
  await page.getByText('2 events').waitFor();
  await page.getByLabel('Search in the events').fill('501');
  await page.getByText('1 event', { exact: true }).waitFor();
  await page.getByLabel('Search in the events').fill('');

  // A broken connection is made again, and the topics with it.
  const [again] = await Promise.all([
    page.waitForResponse((response) => response.url().endsWith('/api/realtime') && response.request().method() === 'POST'),
    ...[...sockets].map((socket) => socket.destroy()),
  ]);
  check(again.status() === 204, 'the topic is subscribed to again');
  await page.getByText('1 reconnect').waitFor();
  await write('PATCH', '/aaaaaaaaaaaaaaa', { views: 502 });
  await page.getByText('3 events').waitFor();
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.getByText('0 events').waitFor();
}, { expected: ['ERR_', 'Failed to load'] });
between.close();
for (const socket of sockets) socket.destroy();

await tour([
  ['sql', '/tools/sql', (page) => page.locator('textarea').waitFor()],
  ['realtime', '/tools/realtime', (page) => page.locator('.empty button').first().waitFor()],
]);
