/** Requests to this server's API: with the token, as JSON or a form, abortable, every failure a `Failure`. */
import { Failure, failureOf } from './failure';

export type Query = Record<string, string | number | boolean | null | undefined>;

export interface Options {
  query?: Query;
  /** Sent as JSON, or as it is if it is a form. */
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** In place of the session's token; `null` for none. */
  token?: string | null;
}

interface Watcher {
  token: () => string;
  signedOut: () => void;
}

let watcher: Watcher = { token: () => '', signedOut: () => {} };

/** The session tells where the token is, and hears when it is no longer good. */
export function watch(by: Watcher): void {
  watcher = by;
}

/** The server's root, as seen from the dashboard: a proxy may serve both below a path. */
export const ROOT = new URL('../', document.baseURI).href;

/** An address of the API. Parts of a path are escaped by `path`. */
export function address(to: string, query: Query = {}): string {
  const url = new URL(to.replace(/^\//, ''), ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, String(value));
  }
  return url.href;
}

/** A path whose values are escaped: path`/api/collections/${name}/records`. */
export function path(texts: TemplateStringsArray, ...values: string[]): string {
  return String.raw({ raw: texts }, ...values.map(encodeURIComponent));
}

function prepared(options: Options): { headers: Record<string, string>; body: string | FormData | undefined } {
  const headers: Record<string, string> = {};
  const token = options.token === undefined ? watcher.token() : options.token;
  if (token) headers.Authorization = token;
  if (options.body === undefined || options.body instanceof FormData) return { headers, body: options.body };
  headers['Content-Type'] = 'application/json';
  return { headers, body: JSON.stringify(options.body) };
}

function parsed(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refused(status: number, text: string, options: Options): Failure {
  const failure = failureOf(status, parsed(text));
  if (failure.kind === 'signedOut' && options.token === undefined && watcher.token()) watcher.signedOut();
  return failure;
}

export async function request<T>(method: string, to: string, options: Options = {}): Promise<T> {
  const { headers, body } = prepared(options);
  let response: Response;
  let text: string;
  try {
    response = await fetch(address(to, options.query), {
      method,
      headers,
      body: body ?? null,
      signal: options.signal ?? null,
    });
    text = await response.text();
  } catch (error) {
    if (options.signal?.aborted) throw new Failure('aborted', '');
    throw new Failure('offline', error instanceof Error ? error.message : String(error));
  }
  if (!response.ok) throw refused(response.status, text, options);
  return parsed(text) as T;
}

export const get = <T>(to: string, query?: Query, signal?: AbortSignal): Promise<T> =>
  request<T>('GET', to, { ...(query && { query }), signal });
export const post = <T>(to: string, body?: unknown, options?: Options): Promise<T> =>
  request<T>('POST', to, { body, ...options });
export const patch = <T>(to: string, body?: unknown, options?: Options): Promise<T> =>
  request<T>('PATCH', to, { body, ...options });
export const put = <T>(to: string, body?: unknown, options?: Options): Promise<T> =>
  request<T>('PUT', to, { body, ...options });
export const del = (to: string, options?: Options): Promise<void> => request<void>('DELETE', to, options);

/** A form sent with progress, which `fetch` cannot tell of. `sent` is given a part from 0 to 1. */
export function upload<T>(
  method: string,
  to: string,
  form: FormData,
  sent: (part: number) => void,
  options: Options = {},
): Promise<T> {
  const { headers } = prepared(options);
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open(method, address(to, options.query));
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = (event) => event.lengthComputable && sent(event.loaded / event.total);
    xhr.onerror = () => reject(new Failure('offline', ''));
    xhr.onabort = () => reject(new Failure('aborted', ''));
    xhr.onload = () => {
      if (xhr.status < 400) resolve(parsed(xhr.responseText) as T);
      else reject(refused(xhr.status, xhr.responseText, options));
    };
    options.signal?.addEventListener('abort', () => xhr.abort(), { once: true });
    xhr.send(form);
  });
}
