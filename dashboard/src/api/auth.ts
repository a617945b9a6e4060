import { get, path, post } from './client';
import { Failure } from './failure';
import type { Item } from './types';

export const SUPERUSERS = '_superusers';

export interface Session {
  token: string;
  record: Item;
}

/** Signed in, or one factor of two is proven. */
export type Outcome = { done: Session } | { mfaId: string };

export interface Methods {
  password: { enabled: boolean; identityFields: string[] };
  otp: { enabled: boolean; duration: number };
  mfa: { enabled: boolean; duration: number };
}

const at = (action: string): string => `${path`/api/collections/${SUPERUSERS}`}/${action}`;

async function outcome(asked: Promise<Session>): Promise<Outcome> {
  try {
    return { done: await asked };
  } catch (error) {
    const mfaId = error instanceof Failure && (error.body as { mfaId?: unknown } | undefined)?.mfaId;
    if (typeof mfaId === 'string' && mfaId) return { mfaId };
    throw error;
  }
}

export const methods = (): Promise<Methods> => get<Methods>(at('auth-methods'));

export const withPassword = (identity: string, password: string, mfaId = ''): Promise<Outcome> =>
  outcome(post<Session>(at('auth-with-password'), { identity, password, ...(mfaId && { mfaId }) }, { token: null }));

export const requestOtp = async (email: string): Promise<string> =>
  (await post<{ otpId: string }>(at('request-otp'), { email }, { token: null })).otpId;

export const withOtp = (otpId: string, password: string, mfaId = ''): Promise<Outcome> =>
  outcome(post<Session>(at('auth-with-otp'), { otpId, password, ...(mfaId && { mfaId }) }, { token: null }));

export const refresh = (): Promise<Session> => post<Session>(at('auth-refresh'));

/** Makes the first superuser, by the token of the link that the server printed. */
export const install = (token: string, email: string, password: string): Promise<Item> =>
  post<Item>(at('records'), { email, password, passwordConfirm: password }, { token });

export const requestPasswordReset = (email: string): Promise<void> =>
  post<void>(at('request-password-reset'), { email }, { token: null });

/** What a mailed link asks for; the token inside names the collection. */
export const confirm = (
  collection: string,
  what: 'confirm-verification' | 'confirm-password-reset' | 'confirm-email-change',
  body: Record<string, string>,
): Promise<void> => post<void>(`${path`/api/collections/${collection}`}/${what}`, body, { token: null });
