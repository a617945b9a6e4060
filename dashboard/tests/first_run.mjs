// From the link that the server printed to a first record, which the official SDK reads.
import { accessible, base, browse, check, shot } from './kit.mjs';

const { LINK, POCKETBASE_SDK } = process.env;
const [EMAIL, PASSWORD] = ['first@example.com', 'the-first-password'];

await browse(
  async (page) => {
    await page.goto(LINK);
    const email = page.getByLabel('Email');
    const [password, again] = [page.getByLabel('Password', { exact: false }).first(), page.getByLabel('Password again')];
    await email.waitFor();
    await accessible(page, 'install');
    await shot(page, 'install-light');
    await email.fill(EMAIL);
    await password.fill('short');
    await again.fill('short');
    await page.locator('button[type=submit]').click();
    await page.locator('[data-invalid] [role=alert]').first().waitFor();
    await password.fill(PASSWORD);
    await again.fill(PASSWORD);
    await page.locator('button[type=submit]').click();
    await page.getByRole('link', { name: 'users' }).waitFor();

    // A collection by hand: a field of several types, open to everybody who reads.
    await page.getByRole('link', { name: 'New collection' }).first().click();
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('trees');
    const field = async (type, name) => {
      await page.getByRole('button', { name: 'New field' }).click();
      await page.getByRole('menuitem', { name: type, exact: true }).click();
      await page.keyboard.type(name);
    };
    await field('Text', 'name');
    await page.getByRole('switch', { name: 'Must not be empty' }).check();
    await field('Number', 'height');
    await field('JSON', 'seen');
    await field('Select', 'kinds');
    await page.getByLabel('Values').fill('aspen\noak');
    await page.getByRole('listitem').filter({ has: page.getByLabel('Values') }).getByRole('switch', { name: 'Several' }).check();
    await field('File', 'picture');
    await page.getByRole('tab', { name: 'Rules' }).click();
    for (const rule of ['List and search', 'View']) {
      await page.getByRole('group', { name: rule, exact: true }).getByRole('button', { name: 'Set a rule' }).click();
    }
    await page.getByText('everybody').nth(1).waitFor();
    await shot(page, 'first-collection-light');
    await page.getByRole('button', { name: 'Create collection' }).click();
    const { default: PocketBase } = await import(POCKETBASE_SDK);
    await page.getByRole('button', { name: 'New record' }).first().click();
    const dialog = page.getByRole('dialog');
    // What the server does not take is told at the field, and what cannot be JSON before it is sent.
    await dialog.getByRole('button', { name: 'Create' }).click();
    await dialog.locator('[data-invalid] [role=alert]').waitFor();
    await dialog.getByLabel('name').fill('Pando');
    await dialog.getByLabel('height').fill('24.5');
    await dialog.getByLabel('seen').fill('{"from": ');
    await dialog.getByText('not valid JSON').waitFor();
    await dialog.getByLabel('seen').fill('{"from": "space"}');
    await dialog.getByLabel('aspen').check();
    const picture = { name: 'a.svg', mimeType: 'image/svg+xml', buffer: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>') };
    await dialog.locator('input[type=file]').setInputFiles(picture);
    await dialog.getByText('a.svg').waitFor();
    await dialog.getByRole('button', { name: 'Create' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('gridcell', { name: 'Pando' }).waitFor();

    const guest = new PocketBase(base);
    const { items } = await guest.collection('trees').getList(1, 10);
    check(items.length === 1, `${items.length} records`);
    const [tree] = items;
    check(tree.name === 'Pando' && tree.height === 24.5 && tree.seen.from === 'space', JSON.stringify(tree));
    check(tree.kinds[0] === 'aspen' && tree.picture.endsWith('.svg'), JSON.stringify(tree));

    // In the grid itself: the value changes where it stands.
    await page.getByRole('gridcell', { name: '24.5' }).dblclick();
    await page.getByRole('gridcell').getByLabel('height').fill('25');
    await page.keyboard.press('Enter');
    await page.getByRole('gridcell', { name: '25', exact: true }).waitFor();
    check((await guest.collection('trees').getOne(tree.id)).height === 25, 'the height is stored');

    // By keys alone: the record opens, what was typed is not lost by accident, and it goes when it is deleted.
    await page.getByRole('grid').focus();
    await page.keyboard.press('Enter');
    await dialog.getByLabel('name').fill('Other');
    await page.keyboard.press('Escape');
    await page.getByText('Discard the changes?').waitFor();
    await page.getByRole('button', { name: 'Go on editing' }).click();
    await page.keyboard.press('Control+s');
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('gridcell', { name: 'Other' }).waitFor();
    await page.getByRole('grid').focus();
    await page.keyboard.press('Space');
    await page.getByRole('region', { name: 'Selected records' }).getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByText('No records yet').waitFor();

    // The link was good once.
    await page.evaluate(() => localStorage.clear());
    await page.goto(LINK);
    await page.reload();
    await email.fill('second@example.com');
    await password.fill(PASSWORD);
    await again.fill(PASSWORD);
    await page.locator('button[type=submit]').click();
    await page.getByText('no longer good').waitFor();
  },
  { expected: ['400', '401', '403'] },
);
