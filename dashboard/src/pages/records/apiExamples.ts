/** Requests to a collection, written out. */
import type { Collection, Field } from '../../api/types';
import { isMultiple } from './types';

export type Action = 'list' | 'view' | 'create' | 'update' | 'delete' | 'realtime' | 'auth';

export const rules: Partial<Record<Action, string>> = {
  list: 'listRule',
  view: 'viewRule',
  create: 'createRule',
  update: 'updateRule',
  delete: 'deleteRule',
  auth: 'authRule',
};

export interface Example {
  request: string;
  script: string;
  curl: string;
  answer?: string;
}

function sample(field: Field): unknown {
  const values = (field.values as string[] | undefined) ?? [];
  const one: Partial<Record<Field['type'], unknown>> = {
    number: 123,
    bool: true,
    email: 'test@example.com',
    url: 'https://example.com',
    date: '2030-01-01 10:00:00.123Z',
    autodate: '2030-01-01 10:00:00.123Z',
    select: values[0] ?? '',
    json: { any: 'value' },
    relation: 'RECORD_ID',
    geoPoint: { lon: 126.978, lat: 37.5665 },
    editor: '<p>text</p>',
    file: 'filename.jpg',
    password: 'a-long-password',
  };
  const value = field.type in one ? one[field.type] : 'text';
  return isMultiple(field) && ['select', 'relation', 'file'].includes(field.type) ? [value] : value;
}

const pretty = (value: unknown): string => JSON.stringify(value, null, 2);

export function examples(collection: Collection, root: string): Partial<Record<Action, Example>> {
  const { name, type } = collection;
  const at = `/api/collections/${name}/records`;
  const visible = collection.fields.filter((field) => !field.hidden && field.type !== 'password');
  const record = Object.fromEntries(visible.map((field) => [field.name, field.name === 'id' ? 'RECORD_ID' : sample(field)]));
  const item = { collectionId: collection.id, collectionName: name, ...record };
  const written = collection.fields.filter(
    (field) => !['autodate', 'file'].includes(field.type) && !['id', 'tokenKey', 'verified', 'emailVisibility'].includes(field.name),
  );
  const body: Record<string, unknown> = Object.fromEntries(written.map((field) => [field.name, sample(field)]));
  if (type === 'auth') body.passwordConfirm = body.password;
  const js = (code: string): string =>
    `import PocketBase from 'pocketbase';\n\nconst pb = new PocketBase('${root}');\n\n${code}`;
  const curl = (method: string, path: string, data?: unknown): string => {
    const lines = [`curl ${method === 'GET' ? '' : `-X ${method} `}'${root}${path}'`, "-H 'Authorization: TOKEN'"];
    if (data) lines.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(data).replaceAll("'", "'\\''")}'`);
    return lines.join(' \\\n  ');
  };
  const c = `pb.collection('${name}')`;
  const reading: Partial<Record<Action, Example>> = {
    list: {
      request: `GET ${at}?page=1&perPage=30&filter=…&sort=…&expand=…&fields=…&skipTotal=…`,
      script: js(
        `const page = await ${c}.getList(1, 50, {\n  filter: pb.filter('id != {:id}', { id: 'RECORD_ID' }),\n});\n\nconst all = await ${c}.getFullList({ sort: 'id' });`,
      ),
      curl: curl('GET', `${at}?perPage=50`),
      answer: pretty({ page: 1, perPage: 50, totalItems: 1, totalPages: 1, items: [item] }),
    },
    view: {
      request: `GET ${at}/RECORD_ID`,
      script: js(`const record = await ${c}.getOne('RECORD_ID');`),
      curl: curl('GET', `${at}/RECORD_ID`),
      answer: pretty(item),
    },
  };
  if (type === 'view') return reading;
  return {
    ...reading,
    create: {
      request: `POST ${at}`,
      script: js(`const record = await ${c}.create(${pretty(body)});`),
      curl: curl('POST', at, body),
      answer: pretty(item),
    },
    update: {
      request: `PATCH ${at}/RECORD_ID`,
      script: js(`const record = await ${c}.update('RECORD_ID', ${pretty(body)});`),
      curl: curl('PATCH', `${at}/RECORD_ID`, body),
      answer: pretty(item),
    },
    delete: {
      request: `DELETE ${at}/RECORD_ID`,
      script: js(`await ${c}.delete('RECORD_ID');`),
      curl: curl('DELETE', `${at}/RECORD_ID`),
    },
    realtime: {
      request: 'GET /api/realtime',
      script: js(
        `await ${c}.subscribe('*', (event) => {\n  console.log(event.action, event.record);\n});\n\nawait ${c}.unsubscribe();`,
      ),
      curl: `curl -N '${root}/api/realtime'`,
    },
    ...(type === 'auth' && {
      auth: {
        request: `POST /api/collections/${name}/auth-with-password`,
        script: js(`const auth = await ${c}.authWithPassword('test@example.com', 'a-long-password');\n\nconsole.log(pb.authStore.isValid, pb.authStore.token);`),
        curl: curl('POST', `/api/collections/${name}/auth-with-password`, { identity: 'test@example.com', password: 'a-long-password' }),
        answer: pretty({ token: 'JWT', record: item }),
      },
    }),
  };
}
