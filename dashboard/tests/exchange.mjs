// Ten thousand rows come in from a file with progress, what is wrong is told by its line, and they go out again.
import { readFileSync } from 'node:fs';

import { browse, check, open, shot, signIn } from './kit.mjs';

const ROWS = 10_000;
const lines = Array.from({ length: ROWS }, (_, n) => `"Post ${n}, with a comma",${n}`);
const csv = ['title,views', ...lines, '"",1'].join('\n');

await browse(async (page) => {
  await signIn(page);
  await open(page, '/collections/posts');
  await page.getByRole('button', { name: 'Import', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('File').setInputFiles({ name: 'posts.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) });
  await dialog.getByRole('button', { name: 'Import' }).click();
  await dialog.getByText('The import is done.').waitFor({ timeout: 300_000 });
  await dialog.getByText('10,000 created').waitFor();
  await dialog.getByText('1 failed').waitFor();
  await dialog.getByText(`Line ${ROWS + 2}`).waitFor();
  await shot(page, 'import-light');
  await page.keyboard.press('Escape');
  await page.getByText('10,000 records').waitFor();

  await page.locator('[data-search]').fill('views < 10');
  await page.keyboard.press('Enter');
  await page.getByText('10 records').waitFor();
  await page.getByRole('button', { name: 'Import and export' }).click();
  await page.getByRole('menuitem', { name: 'Export' }).click();
  const [saved] = await Promise.all([page.waitForEvent('download'), dialog.getByRole('button', { name: 'Export' }).click()]);
  const text = readFileSync(await saved.path(), 'utf8');
  check(text.trim().split('\n').length === 11, text.slice(0, 300));
  await page.keyboard.press('Escape');

  // Lists in a JSON file are taken as well.
  await page.getByRole('button', { name: 'Import and export' }).click();
  await page.getByRole('menuitem', { name: 'Import' }).click();
  const list = JSON.stringify([{ title: 'from a list', views: -1 }]);
  await dialog.getByLabel('File').setInputFiles({ name: 'posts.json', mimeType: 'application/json', buffer: Buffer.from(list) });
  await dialog.getByRole('button', { name: 'Import' }).click();
  await dialog.getByText('1 created').waitFor();
});
