// The picture of a system of two nodes while one of them is killed: it is told by a shape and a word, without a reload.
import { accessible, browse, check, open, shot, signIn, tour } from './kit.mjs';

const { OTHER, OTHER_PID } = process.env;
const nodes = (page) => page.locator('[data-part^="web:"]');
const ready = (page) => nodes(page).first().waitFor();

await tour([
  ['system', '/system', ready],
  ['system-part', '/system', async (page) => {
    await page.locator('[data-part^="database:"]').first().click();
    await page.getByRole('dialog').waitFor();
  }],
]);

await browse(async (page) => {
  await signIn(page);
  await open(page, '/system');
  await nodes(page).nth(1).waitFor();
  await page.waitForFunction(() => !document.querySelector('[data-part^="web:"]:is(.silent, .down, .leaving)'));
  check((await nodes(page).count()) === 2, 'two nodes are shown');
  check((await page.locator('[data-part^="database:"]').count()) >= 1, 'the database is shown');
  await page.locator('path.line').first().waitFor({ state: 'attached' });

  // What several nodes have together is measured by what they may have together.
  const primary = await page.evaluate(async () => {
    const { token } = JSON.parse(localStorage.getItem('pando.session'));
    const picture = await (await fetch('../api/system', { headers: { Authorization: token } })).json();
    return picture.elements.find((one) => one.kind === 'primary').figures;
  });
  check(primary['store.connections'] <= primary['store.connectionsMax'], `connections: ${JSON.stringify(primary)}`);

  // By keys alone: to another element, into its drawer, and back.
  await nodes(page).first().focus();
  await page.keyboard.press('ArrowRight');
  const reached = await page.evaluate(() => document.activeElement?.dataset.part ?? '');
  check(reached !== '' && !reached.startsWith('web:'), `the arrow leads to ${reached}`);
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });

  // Something flows.
  for (let i = 0; i < 20; i++) await (await fetch(`${OTHER}/api/health`)).text();

  await page.evaluate(() => (window.sameDocument = true));
  process.kill(Number(OTHER_PID), 'SIGKILL');
  const ill = page.locator('[data-part^="web:"].silent, [data-part^="web:"].down');
  await ill.waitFor();
  const said = await ill.innerText();
  check(/Silent|Down/.test(said), `it is said: ${said}`);
  await page.getByText('Node lost').first().waitFor();
  await shot(page, 'system-killed-light');
  await accessible(page, 'system with a lost node');
  await ill.click();
  await page.getByRole('button', { name: 'Forget it' }).waitFor();
  check(await page.evaluate(() => window.sameDocument), 'the page was not loaded again');
});
