// Collections made and changed by hand: every part of the editor, what stands against a change as it is typed, what is lost by it,
// and definitions as a file.
import { accessible, base, browse, check, open, signIn, tour } from './kit.mjs';

const { POCKETBASE_SDK } = process.env;
const { default: PocketBase } = await import(POCKETBASE_SDK);
const pb = new PocketBase(base);
await pb.collection('_superusers').authWithPassword(process.env.EMAIL, process.env.PASSWORD);

const tab = (page, name) => page.getByRole('tab', { name }).click();
const row = (page, name) => page.getByRole('listitem').filter({ has: page.getByRole('button', { name: `Move ${name}`, exact: true }) });
const save = (page) => page.getByRole('button', { name: 'Save', exact: true }).click();
const saved = (page) => page.getByRole('button', { name: '0 changes' }).waitFor();

await browse(async (page) => {
  await signIn(page);

  // A new collection; a name that is taken is told as it is typed.
  await page.getByRole('link', { name: 'New collection' }).first().click();
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill('posts');
  await page.getByText('must be unique').waitFor();
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill('trees');
  await page.getByText('must be unique').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'New field' }).click();
  await page.getByRole('menuitem', { name: 'Select' }).click();
  await page.keyboard.type('kind');
  await page.getByLabel('Values').fill('aspen\noak\n');
  await page.getByRole('button', { name: 'New field' }).click();
  await page.getByRole('menuitem', { name: 'Relation' }).click();
  await page.keyboard.type('post');
  await page.getByRole('combobox', { name: 'To', exact: true }).selectOption({ label: 'posts' });
  await page.getByRole('button', { name: 'New field' }).click();
  await page.getByRole('menuitem', { name: 'Text', exact: true }).click();
  await page.keyboard.type('name');
  await accessible(page, 'a new collection');
  // The order by keys alone.
  await page.getByRole('button', { name: 'Move name', exact: true }).focus();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowUp');
  await page.getByRole('button', { name: 'Create collection' }).click();
  await page.getByText('No records yet').waitFor();
  let trees = await pb.collections.getOne('trees');
  check(trees.fields.map((field) => field.name).join() === 'id,name,kind,post,created,updated', JSON.stringify(trees.fields));
  await pb.collection('trees').create({ name: 'Pando', kind: 'aspen' });

  // Rules: completed, and judged while they are written.
  await page.getByRole('link', { name: 'Definition' }).click();
  await tab(page, 'Rules');
  await page.getByRole('group', { name: 'List and search' }).getByRole('button', { name: 'Set a rule' }).click();
  const rule = page.getByLabel('List and search');
  await rule.pressSequentially('post.tit');
  await page.getByRole('option', { name: 'post.title' }).waitFor();
  await page.keyboard.press('Tab');
  await rule.pressSequentially(' != "" && nothing = 1');
  await page.getByText('unknown field "nothing"').waitFor();
  await page.getByRole('tab', { name: 'Rules (1 problem)' }).waitFor();
  await rule.fill('post.title != "" && kind = ');
  await rule.pressSequentially('"o');
  await page.getByRole('option', { name: '"oak"' }).click();
  await page.getByText('unknown field').waitFor({ state: 'detached' });
  check((await rule.inputValue()) === 'post.title != "" && kind = "oak"', await rule.inputValue());
  await accessible(page, 'rules');
  await save(page);
  await saved(page);

  // A field's new name is taken over by rules; what is removed is told, with how much it is.
  await tab(page, 'Fields');
  await row(page, 'kind').getByLabel('Name of the field').fill('species');
  await page.keyboard.press('Tab');
  await row(page, 'name').getByRole('button', { name: 'Actions of name' }).click();
  await page.getByRole('menuitem', { name: 'Remove the field' }).click();
  await page.getByText('Until then it can be restored').waitFor();
  await save(page);
  const review = page.getByRole('dialog', { name: 'Review the changes' });
  await review.getByText('Its values are deleted').waitFor();
  await review.getByText('That concerns 1 record now').waitFor();
  await accessible(page, 'the review');
  await review.getByRole('button', { name: 'Cancel' }).click();
  await row(page, 'name').getByRole('button', { name: 'Restore' }).click();
  await save(page);
  await review.getByText('Applications that use the old name').waitFor();
  await review.getByRole('button', { name: 'Save the changes' }).click();
  await saved(page);
  trees = await pb.collections.getOne('trees');
  check(trees.listRule === 'post.title != "" && species = "oak"', trees.listRule);
  check((await pb.collection('trees').getFullList())[0].species === 'aspen', 'values stay with a renamed field');

  // An index, and what a cache may do.
  await tab(page, 'Indexes');
  await page.getByRole('button', { name: 'New index' }).click();
  await page.getByRole('group', { name: 'Columns' }).getByRole('button', { name: 'species' }).click();
  await page.getByRole('switch', { name: 'Unique' }).check();
  await tab(page, 'Caching');
  await page.getByRole('switch', { name: 'Answers may be cached' }).check();
  await page.getByLabel('Fresh for').fill('-5');
  await page.getByText('Must be no less than 1').waitFor();
  await page.getByLabel('Fresh for').fill('30');
  await page.getByText('Must be no less').waitFor({ state: 'detached' });
  await save(page);
  await saved(page);
  trees = await pb.collections.getOne('trees');
  check(trees.indexes.length === 1 && /UNIQUE INDEX `idx_trees_name`.*\(\s*`name`,\s*`species`\s*\)/s.test(trees.indexes[0]), trees.indexes[0]);
  check(trees.cache.ttl === 30 && trees.cache.scope === 'public', JSON.stringify(trees.cache));

  // A view shows what it finds before it is there.
  await open(page, '/schema/new?type=view');
  // The page before has a name, too.
  await page.getByRole('heading', { name: 'New collection' }).waitFor();
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill('tree_names');
  const query = page.getByRole('textbox', { name: 'Query' });
  await query.pressSequentially('SELECT trees.id, trees.na');
  await query.fill('SELECT id, wrong FROM trees');
  await page.getByText('no such column: wrong').first().waitFor();
  await query.fill('SELECT id, name FROM trees');
  await page.getByRole('region', { name: 'Preview' }).getByText('Pando').waitFor();
  await accessible(page, 'a view');
  await page.getByRole('button', { name: 'Create collection' }).click();
  await page.getByRole('gridcell', { name: 'Pando' }).waitFor();

  // Accounts: what needs two ways says so; providers, tokens and mails.
  await open(page, '/collections/users/schema?tab=auth');
  await page.getByRole('switch', { name: 'Two steps' }).check();
  await page.getByText('at least 2 auth methods').waitFor();
  await page.getByRole('switch', { name: 'One-time code by mail' }).check();
  await page.getByText('at least 2 auth methods').waitFor({ state: 'detached' });
  await page.getByRole('switch', { name: 'Other providers' }).check();
  await page.getByRole('button', { name: 'Add a provider' }).click();
  await page.getByRole('menuitem', { name: 'GitHub' }).click();
  await page.getByLabel('Client ID').fill('an-id');
  await page.getByLabel('Client secret').fill('a-secret');
  await page.getByRole('button', { name: 'End all that were issued' }).first().click();
  await accessible(page, 'sign-in');
  await tab(page, 'Mails');
  await page.getByLabel('Subject').fill('Welcome to {APP_NAME}');
  await page.getByText('Welcome to Acme').or(page.locator('.subject', { hasText: 'Welcome to' })).first().waitFor();
  await accessible(page, 'mails');
  await save(page);
  await review.getByText('All tokens of this kind end').waitFor();
  await review.getByRole('button', { name: 'Save the changes' }).click();
  await saved(page);
  const users = await pb.collections.getOne('users');
  check(users.mfa.enabled && users.otp.enabled && users.oauth2.providers[0].clientId === 'an-id', JSON.stringify(users.oauth2));
  check(users.verificationTemplate.subject === 'Welcome to {APP_NAME}', users.verificationTemplate.subject);

  // A copy, which goes again when its name is typed.
  await open(page, '/schema/new?from=trees');
  await page.getByRole('button', { name: 'Create collection' }).click();
  await page.getByRole('heading', { name: 'trees_copy' }).waitFor();
  check((await pb.collections.getOne('trees_copy')).fields.length === trees.fields.length, 'a copy has the same fields');
  await open(page, '/collections/trees_copy/schema');
  await page.getByRole('button', { name: 'Actions', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Delete collection' }).click();
  await page.getByRole('dialog').getByRole('textbox').fill('trees_copy');
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('trees_copy is deleted').waitFor();

  // What is not there says so, on both of a collection's pages.
  for (const part of ['', '/schema']) {
    await open(page, `/collections/trees_copy${part}`);
    await page.locator(`aside a[href$="/collections/trees${part}"]`).waitFor();
    await page.getByText('There is no collection trees_copy').waitFor();
  }
  await accessible(page, 'a collection that is not there');

  // Definitions as a file: every change is shown before it is made.
  await open(page, '/schema?tab=import');
  const { fields, ...rest } = trees;
  const wanted = [{ ...rest, fields: fields.filter((field) => field.name !== 'post') }, { name: 'leaves', type: 'base', fields: [{ name: 'n', type: 'number' }] }];
  await page.getByLabel('Or paste it').fill('[{');
  await page.getByText('not valid JSON').waitFor();
  await page.getByLabel('Or paste it').fill(JSON.stringify(wanted));
  await page.locator('summary', { hasText: 'leaves' }).waitFor();
  await accessible(page, 'an import');
  await page.getByRole('button', { name: 'Apply' }).click();
  await page.getByText('The import is done').waitFor();
  check((await pb.collections.getOne('leaves')).fields.length === 2, 'the import is made');
  check((await pb.collections.getOne('trees')).fields.some((field) => field.name === 'post'), 'what is not named stays');
}, { expected: ['400'] });

await tour([
  ['schema', '/collections/trees/schema', (page) => page.getByRole('listitem').first().waitFor()],
  ['schema-rules', '/collections/posts/schema?tab=rules', (page) => page.locator('.locked').first().waitFor()],
  ['schema-auth', '/collections/users/schema?tab=auth', (page) => page.locator('.token').first().waitFor()],
  ['schema-mails', '/collections/users/schema?tab=mails', (page) => page.locator('.letter').waitFor()],
  ['schema-new', '/schema/new', (page) => page.getByRole('listitem').first().waitFor()],
  ['schema-exchange', '/schema', (page) => page.locator('.json').waitFor()],
]);
