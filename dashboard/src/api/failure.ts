/** Why a request did not bring what was asked for, as a value that a page can act on. */
export type Kind =
  /** The server was not reached. */
  | 'offline'
  /** The page asked for something else meanwhile. */
  | 'aborted'
  /** Nobody is signed in, or no longer. */
  | 'signedOut'
  | 'forbidden'
  | 'missing'
  /** What was sent does not fit; `fields` says where. */
  | 'invalid'
  | 'tooMany'
  | 'server';

export interface Violation {
  code: string;
  message: string;
  params?: Record<string, unknown>;
}

export class Failure extends Error {
  constructor(
    readonly kind: Kind,
    message: string,
    readonly status = 0,
    /** Violations by field; nested ones under dotted names. */
    readonly fields: Record<string, Violation> = {},
    /** The answer's body, for what is told beside the message. */
    readonly body: unknown = undefined,
  ) {
    super(message);
    this.name = 'Failure';
  }
}

export function isAborted(error: unknown): boolean {
  return error instanceof Failure && error.kind === 'aborted';
}

/** Whatever was thrown, as a failure. */
export function failure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof DOMException && error.name === 'AbortError') return new Failure('aborted', '');
  return new Failure('server', error instanceof Error ? error.message : String(error));
}

function flatten(data: unknown, prefix: string, into: Record<string, Violation>): void {
  if (!data || typeof data !== 'object') return;
  for (const [name, value] of Object.entries(data as Record<string, unknown>)) {
    if (!value || typeof value !== 'object') continue;
    const one = value as Partial<Violation>;
    if (typeof one.message === 'string' && typeof one.code === 'string') into[prefix + name] = one as Violation;
    else flatten(value, `${prefix}${name}.`, into);
  }
}

/** The failure that an answer with a status of 400 or more tells of. */
export function failureOf(status: number, body: unknown): Failure {
  const { message, data } = (body ?? {}) as { message?: unknown; data?: unknown };
  const fields: Record<string, Violation> = {};
  flatten(data, '', fields);
  const kinds: Record<number, Kind> = { 401: 'signedOut', 403: 'forbidden', 404: 'missing', 429: 'tooMany' };
  const kind = kinds[status] ?? (status < 500 ? 'invalid' : 'server');
  return new Failure(kind, typeof message === 'string' ? message : `HTTP ${status}`, status, fields, body);
}
