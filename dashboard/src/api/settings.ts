/** The settings of the server, in PocketBase's own shape, and those beside them: see docs/insight-api.md. */
import { del, get, patch, path, post } from './client';

export interface S3 {
  enabled: boolean;
  bucket: string;
  region: string;
  endpoint: string;
  accessKey: string;
  /** Never read back; left out, it stays as it is. */
  secret?: string | undefined;
  forcePathStyle: boolean;
}

export interface Smtp {
  enabled: boolean;
  host: string;
  port: number;
  username: string;
  /** Never read back; left out, it stays as it is. */
  password?: string | undefined;
  authMethod: string;
  tls: boolean;
  localName: string;
}

export interface RateLimit {
  label: string;
  audience: '' | '@guest' | '@auth';
  /** Seconds. */
  duration: number;
  maxRequests: number;
}

export interface Settings {
  meta: {
    appName: string;
    appURL: string;
    accentColor: string;
    senderName: string;
    senderAddress: string;
    hideControls: boolean;
  };
  smtp: Smtp;
  s3: S3;
  backups: { cron: string; cronMaxKeep: number; s3: S3 };
  rateLimits: { enabled: boolean; rules: RateLimit[]; excludedIPs: string[] };
  trustedProxy: { headers: string[]; useLeftmostIP: boolean };
  superuserIPs: string[];
  batch: { enabled: boolean; maxRequests: number; timeout: number; maxBodySize: number };
  logs: { maxDays: number; minLevel: number; maxDataSize: number; logIP: boolean; logAuthId: boolean };
}

export interface InsightSettings {
  logs: { maxBytes: number; messageLevel: number };
  audit: { maxDays: number };
  insights: { enabled: boolean };
}

/** Some of what there is, at any depth; lists are whole. */
export type Part<T> = { [K in keyof T]?: T[K] extends unknown[] ? T[K] : T[K] extends object ? Part<T[K]> : T[K] };

export const settings = (signal?: AbortSignal): Promise<Settings> => get('/api/settings', {}, signal);
export const change = (to: Part<Settings>): Promise<Settings> => patch('/api/settings', to);
export const insight = (signal?: AbortSignal): Promise<InsightSettings> => get('/api/settings/insight', {}, signal);
export const changeInsight = (to: Part<InsightSettings>): Promise<InsightSettings> => patch('/api/settings/insight', to);
export const testStorage = (filesystem: 'storage' | 'backups'): Promise<void> => post('/api/settings/test/s3', { filesystem });
export const clearLogs = (): Promise<void> => del('/api/logs');

export const TEMPLATES = ['verification', 'password-reset', 'email-change', 'otp', 'login-alert'] as const;
export type Template = (typeof TEMPLATES)[number];
export const testMail = (to: { email: string; template: Template; collection: string }): Promise<void> =>
  post('/api/settings/test/email', to);

/** What a superuser is told of the server and of the request itself. */
export interface Health {
  canBackup: boolean;
  realIP: string;
  possibleProxyHeader: string;
}
export const health = async (signal?: AbortSignal): Promise<Health> =>
  (await get<{ data: Health }>('/api/health', {}, signal)).data;

export interface Cron {
  id: string;
  expression: string;
}
export const crons = (signal?: AbortSignal): Promise<Cron[]> => get('/api/crons', {}, signal);
export const runCron = (id: string): Promise<void> => post(path`/api/crons/${id}`);
