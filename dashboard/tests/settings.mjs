// Settings: what is wrong is told at its field, secrets that are not entered anew stay, nobody is locked out unasked, and a backup
// brings back what was.
import { accessible, browse, check, open, ROOT, shot, signIn, tour } from './kit.mjs';

const save = (page) => page.getByRole('button', { name: 'Save', exact: true });
const saved = (page) => page.getByText('Saved').first().waitFor();
const dialog = (page) => page.getByRole('dialog');
const invalid = (page) => page.locator('[aria-invalid=true]').first();

async function application(page) {
  await open(page, '/settings');
  await page.getByRole('textbox', { name: 'Name' }).fill('Grove');
  await page.keyboard.press('Control+s');
  await saved(page);
  check((await page.title()).includes('Grove'), `the title is ${await page.title()}`);

  await page.getByLabel('Allowed addresses').fill('nowhere');
  await save(page).click();
  await page.getByText('nowhere: ').waitFor();
  await page.getByLabel('Allowed addresses').fill('203.0.113.0/24');
  await page.getByText('Saving this locks you out').waitFor();
  await save(page).click();
  await dialog(page).getByText('Lock yourself out?').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Add my address' }).click();
  await save(page).click();
  await page.getByRole('button', { name: 'Discard' }).waitFor({ state: 'detached' });
  await page.getByLabel('Allowed addresses').fill('');
  await save(page).click();
  await page.getByRole('button', { name: 'Discard' }).waitFor({ state: 'detached' });
}

async function mail(page) {
  await open(page, '/settings/mail');
  await page.getByRole('switch', { name: 'Send by SMTP' }).click();
  await page.getByLabel('Host').fill('127.0.0.1');
  await page.getByLabel('Port').fill('70000');
  await page.getByLabel('User name').fill('me');
  await page.getByLabel('Password').fill('secret');
  await save(page).click();
  await invalid(page).waitFor();
  await page.getByLabel('Port').fill('1');
  await save(page).click();
  await page.getByText('It cannot be read back').waitFor();

  // What is sent is what was changed: the password that is there is not among it.
  const sent = page.waitForRequest((request) => request.method() === 'PATCH');
  await page.getByLabel('User name').fill('you');
  await save(page).click();
  const body = (await sent).postData();
  check(body === JSON.stringify({ smtp: { username: 'you' } }), `sent: ${body}`);
  await saved(page);

  await page.getByRole('button', { name: 'Send a test mail' }).click();
  await dialog(page).getByRole('textbox', { name: 'To', exact: true }).fill('nobody');
  await dialog(page).getByRole('button', { name: 'Send' }).click();
  await invalid(page).waitFor();
  await dialog(page).getByRole('textbox', { name: 'To', exact: true }).fill('a@example.com');
  await dialog(page).getByRole('button', { name: 'Send' }).click();
  await dialog(page).getByText('Raw error').waitFor();
  await accessible(page, 'test mail');
  await page.keyboard.press('Escape');
  await page.getByRole('switch', { name: 'Send by SMTP' }).click();
  await save(page).click();
  await page.getByRole('button', { name: 'Discard' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Send a test mail' }).click();
  await dialog(page).getByRole('button', { name: 'Send' }).click();
  await dialog(page).getByText('was handed over').waitFor();
  await page.keyboard.press('Escape');
}

async function storage(page) {
  await open(page, '/settings/storage');
  await page.getByRole('switch', { name: 'Keep files in an S3 store' }).click();
  await page.getByText('do not move by this switch').waitFor();
  await save(page).click();
  await dialog(page).getByRole('button', { name: 'Switch' }).click();
  await invalid(page).waitFor();
  for (const [name, value] of [['Endpoint', 'http://127.0.0.1:1'], ['Bucket', 'files'], ['Region', 'here'], ['Access key', 'a'], ['Secret key', 'b']]) {
    await page.getByRole('textbox', { name, exact: false }).fill(value);
  }
  await page.getByText("pando move --files 's3://files?").waitFor();
  // No bucket's name can stand before an address of numbers.
  await shot(page, 'settings-storage-s3-light');
  await save(page).click();
  await dialog(page).getByRole('button', { name: 'Switch' }).click();
  await page.getByText('needs the bucket in the path').waitFor();
  await page.getByRole('switch', { name: 'The bucket in the path' }).click();
  await save(page).click();
  await page.getByText('needs the bucket in the path').waitFor({ state: 'detached' });
  await page.getByText('Raw error').waitFor();
  await page.getByRole('switch', { name: 'Keep files in an S3 store' }).click();
  await save(page).click();
  await dialog(page).getByRole('button', { name: 'Switch' }).click();
  await page.getByRole('button', { name: 'Discard' }).waitFor({ state: 'detached' });
}

async function limits(page) {
  await open(page, '/settings/rate-limits');
  await page.getByRole('button', { name: 'Add a rule' }).click();
  const label = page.getByLabel('Label of rule 5');
  await label.fill('users:authwithp');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  check((await label.inputValue()) === 'users:authWithPassword', `completed to ${await label.inputValue()}`);
  await page.getByText('Rule 5 (users:authWithPassword)').waitFor();
  await page.getByRole('button', { name: 'Add a rule' }).click();
  await page.getByLabel('Label of rule 6').fill('*:auth');
  await save(page).click();
  await page.getByText('already exists or conflicts').first().waitFor();
  await accessible(page, 'rules with a conflict');
  await page.getByRole('button', { name: 'Remove rule 6' }).click();
  await page.getByRole('button', { name: 'Move rule 5 up' }).click();
  await save(page).click();
  await page.getByRole('button', { name: 'Discard' }).waitFor({ state: 'detached' });
  check((await page.getByLabel('Label of rule 4').inputValue()) === 'users:authWithPassword', 'the rule moved up');
}

async function crons(page) {
  await open(page, '/settings/crons');
  const row = page.getByRole('row', { name: '__pbOTPCleanup__' });
  await row.getByRole('button', { name: 'Run now' }).click();
  await row.getByText('Done').waitFor();
}

async function logs(page) {
  await open(page, '/settings/logs');
  const days = page.getByLabel('Kept for (days)').first();
  await days.fill('-1');
  await save(page).click();
  await invalid(page).waitFor();
  await days.fill('7');
  await page.getByLabel('Kept for (days)').last().fill('400');
  await save(page).click();
  await page.getByRole('button', { name: 'Discard' }).waitFor({ state: 'detached' });
  await page.reload();
  await days.waitFor();
  check((await days.inputValue()) === '7' && (await page.getByLabel('Kept for (days)').last().inputValue()) === '400', 'both are kept');
}

async function superusers(page) {
  await open(page, '/settings/superusers');
  await page.getByText('This is the only superuser').waitFor();
  await page.getByRole('button', { name: 'New superuser' }).click();
  await dialog(page).getByLabel('Email').fill('later@example.com');
  await dialog(page).getByLabel('Password', { exact: false }).first().fill('short');
  await dialog(page).getByLabel('Password again').fill('short');
  await dialog(page).getByRole('button', { name: 'Create' }).click();
  await invalid(page).waitFor();
  await dialog(page).getByRole('button', { name: 'Make a strong password' }).click();
  await dialog(page).getByRole('button', { name: 'Create' }).click();
  await page.getByRole('row', { name: 'later@example.com' }).waitFor();
  await page.getByText('This is the only superuser').waitFor({ state: 'detached' });

  // With another password of one's own one stays signed in.
  await page.locator('main').getByRole('button', { name: ROOT[0] }).first().click();
  await dialog(page).getByLabel('New password').fill('another-password');
  await dialog(page).getByLabel('Password again').fill('another-password');
  await accessible(page, 'own password');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await dialog(page).waitFor({ state: 'detached' });
  await page.reload();
  await page.getByRole('row', { name: 'later@example.com' }).waitFor();

  await page.getByRole('button', { name: 'Durations of tokens' }).click();
  await dialog(page).getByLabel('Signed in for').fill('0');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await invalid(page).waitFor();
  await dialog(page).getByLabel('Signed in for').fill('720');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await dialog(page).waitFor({ state: 'detached' });
}

async function backup(page) {
  await open(page, '/settings/backups');
  await page.getByText('No backups yet').waitFor();
  await page.getByRole('button', { name: 'New backup' }).first().click();
  await dialog(page).getByLabel('Name').fill('Bad Name');
  await page.getByText('Small letters').waitFor();
  await dialog(page).getByLabel('Name').fill('before');
  await dialog(page).getByRole('button', { name: 'New backup' }).click();
  const row = page.getByRole('row', { name: 'before.zip' });
  await row.waitFor();

  const download = page.waitForEvent('download');
  await row.getByRole('button', { name: 'Download before.zip' }).click();
  const file = await (await download).path();
  const { readFileSync } = await import('node:fs');
  await page.locator('input[type=file]').setInputFiles({ name: 'brought.zip', mimeType: 'application/zip', buffer: readFileSync(file) });
  const brought = page.getByRole('row', { name: 'brought.zip' });
  await brought.waitFor();
  await brought.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await dialog(page).getByRole('button', { name: 'Delete' }).click();
  await brought.waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Schedule and place' }).click();
  await dialog(page).getByLabel('Schedule (UTC)').fill('every day');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await invalid(page).waitFor();
  await dialog(page).getByRole('button', { name: 'Daily' }).click();
  await dialog(page).getByText('Next: ').waitFor();
  await accessible(page, 'schedule of backups');
  await shot(page, 'settings-backup-schedule-light');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await dialog(page).waitFor({ state: 'detached' });
  await page.getByText('Made by the schedule 0 0 * * *').waitFor();
}

/** What another kind of server answers: a backup under way, and data that no backup is restored into. */
async function elsewhere(page) {
  const busy = { doing: 'backup', name: 'large.zip', since: '2026-01-01 00:00:00.000Z', phase: 'packing', done: 3e9, total: 12e9 };
  const at = '**/api/system/backup';
  await page.route(at, (route) => route.fulfill({ json: { busy, canRestore: false, canKeep: true } }));
  await open(page, '/settings/crons');
  await open(page, '/settings/backups');
  await page.getByText('Backup large.zip is being made').waitFor();
  await page.getByText('25%').waitFor();
  await page.getByText('pando move --dir DIRECTORY').waitFor();
  await accessible(page, 'a backup under way');
  await shot(page, 'settings-backup-progress-light');
  await page.getByRole('row', { name: 'before.zip' }).getByRole('button', { name: 'Actions' }).click();
  check(await page.getByRole('menuitem', { name: 'Restore' }).isDisabled(), 'nothing is restored into PostgreSQL');
  await page.keyboard.press('Escape');
  await page.unroute(at);
}

async function restore(page) {
  await open(page, '/settings/backups');
  const row = page.getByRole('row', { name: 'before.zip' });
  await row.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Restore' }).click();
  const go = dialog(page).getByRole('button', { name: 'Restore' });
  check(await go.isDisabled(), 'the name must be typed first');
  await dialog(page).getByRole('textbox').fill('before.zip');
  await go.click();
  // The password is that of the backup again: who is signed in is asked for it.
  await page.locator('button[type=submit]').filter({ hasText: 'Sign in' }).waitFor();
  await signIn(page);
  await open(page, '/settings/superusers');
  await page.getByText('This is the only superuser').waitFor();
}

await browse(
  async (page) => {
    await signIn(page);
    for (const test of [application, mail, storage, limits, crons, logs, backup, elsewhere, superusers, restore]) await test(page);
  },
  { expected: ['400', '401', '403', '502', '503', 'ERR_'] },
);

const shown = (text) => (page) => page.locator('main').getByText(text).first().waitFor();
const form = (page) => page.locator('form.settings').waitFor();
await tour(
  [
    ['settings', '/settings', form],
    ['settings-mail', '/settings/mail', form],
    ['settings-storage', '/settings/storage', form],
    ['settings-backups', '/settings/backups', shown('before.zip')],
    ['settings-limits', '/settings/rate-limits', form],
    ['settings-crons', '/settings/crons', shown('__pbOTPCleanup__')],
    ['settings-logs', '/settings/logs', form],
    ['settings-superusers', '/settings/superusers', shown(ROOT[0])],
  ],
);
