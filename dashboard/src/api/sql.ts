/** Statements in the database's own language, as the server runs them for superusers. */
import { post } from './client';

export interface SqlColumn {
  name: string;
  /** As declared; empty when it is not a table's column. */
  type: string;
}

export interface SqlResult {
  /** Milliseconds at the server. */
  execTime: number;
  affectedRows: number;
  columns: SqlColumn[];
  rows: (string | null)[][];
}

/** No answer has more rows. */
export const SQL_ROWS_MAX = 1000;

export const run = (query: string, signal: AbortSignal): Promise<SqlResult> => post<SqlResult>('/api/sql', { query }, { signal });
