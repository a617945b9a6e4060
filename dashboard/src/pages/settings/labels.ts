/** What requests are called in rate limit rules, and which rule one falls under: as the server decides it. */
import type { RateLimit } from '../../api/settings';
import type { Collection } from '../../api/types';

const TAGS = ['list', 'view', 'create', 'update', 'delete', 'file'] as const;
const AUTH_TAGS = [
  'auth',
  'authWithPassword',
  'authWithOTP',
  'authWithOAuth2',
  'authRefresh',
  'listAuthMethods',
  'requestOTP',
  'requestPasswordReset',
  'confirmPasswordReset',
  'requestVerification',
  'confirmVerification',
  'requestEmailChange',
  'confirmEmailChange',
] as const;
const POSTS: Record<string, string[]> = {
  'auth-refresh': ['authRefresh'],
  'auth-with-password': ['authWithPassword', 'auth'],
  'auth-with-oauth2': ['authWithOAuth2', 'auth'],
  'auth-with-otp': ['authWithOTP', 'auth'],
  'auth-with-passkey': ['auth'],
  'auth-with-passkey-begin': ['auth'],
  'request-otp': ['requestOTP'],
  'request-password-reset': ['requestPasswordReset'],
  'confirm-password-reset': ['confirmPasswordReset'],
  'request-verification': ['requestVerification'],
  'confirm-verification': ['confirmVerification'],
  'request-email-change': ['requestEmailChange'],
  'confirm-email-change': ['confirmEmailChange'],
};
const PATHS = ['/api/', '/api/batch', '/api/realtime', '/api/files/', '/api/collections/', 'POST /api/batch', 'POST /api/realtime'];

/** Labels that make sense with these collections. */
export function known(collections: Collection[]): string[] {
  const every = [...AUTH_TAGS, ...TAGS].map((tag) => `*:${tag}`);
  const own = collections.flatMap(({ name, type }) => {
    const tags = type === 'view' ? ['list', 'view', 'file'] : type === 'auth' ? [...AUTH_TAGS, ...TAGS] : [...TAGS];
    return tags.map((tag) => `${name}:${tag}`);
  });
  const paths = collections.map(({ name }) => `/api/collections/${name}/`);
  return [...every, ...PATHS, ...own, ...paths];
}

function tagged(method: string, path: string): { name: string; tags: string[] } | null {
  const parts = path.startsWith('/api/') ? path.slice('/api/'.length).split('/') : [];
  const reads = method === 'GET' || method === 'HEAD';
  const [first, name = '', third, fourth] = parts;
  const of = (...tags: string[]) => ({ name, tags });
  if (first === 'files' && parts.length === 4 && reads) return of('file');
  if (first !== 'collections' || parts.length < 3 || parts.length > 4) return null;
  if (third === 'records' && fourth === undefined) return reads ? of('list') : method === 'POST' ? of('create') : null;
  if (third === 'records') {
    const tag = reads ? 'view' : { PATCH: 'update', DELETE: 'delete' }[method];
    return tag ? of(tag) : null;
  }
  if (parts.length === 4) return null;
  if (third === 'auth-methods' && reads) return of('listAuthMethods');
  const tags = method === 'POST' ? POSTS[third ?? ''] : undefined;
  return tags ? of(...tags) : null;
}

/** The rule that a request falls under; -1 if none. The most telling name that has a rule wins. */
export function ruleOf(rules: RateLimit[], asked: { method: string; path: string; isSignedIn: boolean }): number {
  const found = tagged(asked.method, asked.path);
  const labels = found ? [found.name, '*'].flatMap((owner) => found.tags.map((tag) => `${owner}:${tag}`)) : [];
  labels.push(`${asked.method} ${asked.path}`, asked.path);
  const concerns = (rule: RateLimit): boolean => !rule.audience || (rule.audience === '@auth') === asked.isSignedIn;
  const above = (rule: RateLimit, label: string): boolean => {
    if (!rule.label.endsWith('/')) return false;
    const parent = rule.label.slice(0, -1);
    return label === parent || label.startsWith(`${parent}/`);
  };
  for (const label of labels) {
    const own = rules.findIndex((rule) => rule.label === label && concerns(rule));
    if (own >= 0) return own;
    const higher = rules.findIndex((rule) => above(rule, label) && concerns(rule));
    if (higher >= 0) return higher;
  }
  return -1;
}
