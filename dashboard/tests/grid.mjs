// A hundred thousand records: every part of them is reached, and a filter shows what it says.
import { accessible, browse, check, open, signIn, tour } from './kit.mjs';

const ready = (page) => page.locator('[role=gridcell] .clip').first().waitFor();
const filled = (page) => page.waitForFunction(() => !document.querySelector('.blank') && document.querySelector('[role=gridcell]'));
const title = (n) => `Post ${String(n).padStart(6, '0')}`;

await browse(async (page) => {
  await signIn(page);
  await open(page, '/collections/posts');
  await page.getByText('100,000 records').waitFor();
  await page.getByRole('gridcell', { name: title(99999) }).waitFor();

  // The middle and the end, by scrolling and by keys; never more rows in the page than can be seen.
  const grid = page.getByRole('grid');
  await grid.evaluate((node) => (node.scrollTop = node.scrollHeight / 2));
  await filled(page);
  const middle = await page.locator('[role=row]').count();
  check(middle < 80, `${middle} rows are drawn`);
  await grid.focus();
  await page.keyboard.press('End');
  await page.getByRole('gridcell', { name: title(0) }).waitFor();
  await page.keyboard.press('Home');
  await page.getByRole('gridcell', { name: title(99999) }).waitFor();

  // Sorted by a column's head, there and back.
  const views = page.getByRole('columnheader', { name: 'views' });
  await views.getByRole('button').click();
  await page.waitForFunction(() => document.querySelector('[aria-sort=ascending]'));
  await filled(page);
  await views.getByRole('button').click();
  await page.waitForFunction(() => document.querySelector('[aria-sort=descending]'));
  await views.getByRole('button').click();

  // A filter with a completed name, and the same from the address after a reload.
  await page.keyboard.press('/');
  await page.keyboard.type('titl');
  await page.getByRole('option', { name: 'title' }).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.type(' ~ "Post 0000" && views >= 0');
  await page.keyboard.press('Enter');
  await page.getByText('100 records').waitFor();
  await page.reload();
  await page.getByText('100 records').waitFor();
  await page.getByRole('gridcell', { name: title(99) }).waitFor();

  // Words are searched for.
  await page.locator('[data-search]').fill('Post 01234');
  await page.keyboard.press('Enter');
  await page.getByText('10 records').waitFor();

  // What cannot be read is told, and nothing breaks.
  await page.locator('[data-search]').fill('title ~~ (');
  await page.keyboard.press('Enter');
  await page.getByText('cannot be read').waitFor();
  await page.keyboard.press('Escape');
  await page.getByText('100,000 records').waitFor();
  await accessible(page, 'grid');
}, { expected: ['400'] });

await tour([
  ['records', '/collections/posts', ready],
  ['record', '/collections/posts?record=new', (page) => page.locator('dialog form').waitFor()],
  ['empty', '/collections/users', (page) => page.locator('.empty').waitFor()],
]);
