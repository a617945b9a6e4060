// Alerts: receivers, a rule, and what is wrong at its field. Figures over time, and who comes back.
import { accessible, browse, check, open, signIn, tour } from './kit.mjs';

await browse(async (page) => {
  await signIn(page);
  await open(page, '/system/alerts');
  await page.getByText('Nobody is told yet').waitFor();

  await page.getByRole('button', { name: 'Receivers' }).first().click();
  await page.getByLabel('Addresses').fill('ops@example.com');
  await page.getByRole('button', { name: 'Add a webhook' }).click();
  await page.getByLabel('Webhook 1').fill('https://example.com/hook');
  await page.getByRole('button', { name: 'Save' }).click();
  // The secret of a new webhook is there to be copied.
  await page.getByRole('dialog').locator('pre').waitFor();
  await accessible(page, 'receivers');
  await page.keyboard.press('Escape');
  await page.getByText('ops@example.com').waitFor();

  await page.getByRole('button', { name: 'New rule' }).click();
  await page.getByLabel('Name').fill('Slow at night');
  await page.getByLabel('What').selectOption('latency_p99');
  await page.getByLabel('Threshold').fill('-3');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.locator('[aria-invalid=true]').waitFor();
  await page.getByLabel('Threshold').fill('2.5');
  await page.getByRole('button', { name: 'Save' }).click();
  const row = page.getByRole('row', { name: 'Slow at night' });
  await row.waitFor();
  check((await row.innerText()).includes('2.5'), 'the threshold is shown');
  await row.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await row.waitFor({ state: 'detached' });

  // Figures come with the first samples; the same values can be read as a table.
  await open(page, '/system/charts');
  await page.locator('canvas').first().waitFor();
  await page.getByRole('button', { name: 'Show as a table' }).first().click();
  await page.locator('section table').first().waitFor();
  await page.getByRole('button', { name: '14 days' }).click();
  await page.locator('section').first().waitFor();
}, { expected: ['400'] });

await tour([
  ['alerts', '/system/alerts', (page) => page.getByRole('table').waitFor()],
  ['charts', '/system/charts', (page) => page.locator('canvas').first().waitFor()],
  ['insights', '/insights', (page) => page.locator('canvas').first().waitFor()],
]);
